"""Finds the files of a log, and puts rotated ones in order of time.

The files app.log.2.gz, app.log.1 and app.log are one log: the highest number is the oldest. If the numbers
are dates, as in app-20261101.log, the lowest is the oldest. The file without a number is the newest.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from onward.data.corpus import find_sources
from onward.watch.input.format import COMPRESSED

_AT_END = re.compile(r"(.+?)[-._](\d[-._T\d]*)")
_BEFORE_SUFFIX = re.compile(r"(.+?)[-._](\d[-._T\d]*)(\.[A-Za-z]\w*)")
_DATE_DIGITS = 6
"""A number with at least this many digits is a date."""


def find_log_files(
    names: Iterable[str | os.PathLike[str]], notify: Callable[[str], None] = lambda _: None
) -> Sequence[Path]:
    """Returns the files of all sources, as `find_sources` does, and those of rotated logs in order of time.

    Args:
        names: files, folders, patterns, or "-" for standard input.
        notify: called with a message if the order was changed.

    Raises:
        CorpusError: a source is missing or cannot be read, or there is no text.
    """
    found = find_sources([str(name) for name in names]).documents
    ordered = _in_order_of_time(found)
    if ordered != list(found):
        notify(f"rotated files, read in order of time: {', '.join(path.name for path in ordered)}")
    return ordered


def _in_order_of_time(files: Sequence[Path]) -> list[Path]:
    logs: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        logs[_log_of(path, files)].append(path)
    return [path for log, parts in logs.items() for path in sorted(parts, key=lambda path: _age(path, log))]


def _log_of(path: Path, files: Sequence[Path]) -> Path:
    """Returns the file that a rotated file was before; another file itself."""
    name = _plain_name(path)
    for pattern in (_AT_END, _BEFORE_SUFFIX):
        if found := pattern.fullmatch(name):
            log = path.with_name(found[1] + "".join(found.groups()[2:]))
            if log in files:
                return log
    return path.with_name(name) if path.with_name(name) in files else path


def _age(path: Path, log: Path) -> tuple[bool, float, str]:
    """Returns a value that is larger for later files of one log."""
    name = _plain_name(path)
    if name == log.name:
        return (True, 0.0, path.name)
    found = _AT_END.fullmatch(name) or _BEFORE_SUFFIX.fullmatch(name)
    digits = re.sub(r"\D", "", found[2]) if found else ""
    number = float(digits or 0)
    return (False, number if len(digits) >= _DATE_DIGITS else -number, path.name)


def _plain_name(path: Path) -> str:
    return path.stem if path.suffix in COMPRESSED else path.name
