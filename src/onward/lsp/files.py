"""The text files of a workspace, without those that Git ignores."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

MOST_BYTES = 1 << 18
"""Maximum size of a file; larger ones are rarely written by hand."""

MOST_FILES = 20_000
"""Maximum number of files that are returned."""

_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "site-packages"}
_IGNORE_FILE = ".gitignore"


class _Ignored(NamedTuple):
    """The rules of a `.gitignore`, and its folder."""

    folder: Path
    rules: GitIgnoreSpec


def text_files(root: Path) -> list[Path]:
    """Returns the files that may be texts, the most recently changed first.

    Hidden files and folders, links, and files that are empty or too large are left out.

    Args:
        root: folder of the workspace.
    """
    found: list[tuple[float, Path]] = []
    for entry in _entries(root, ()):
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # it was removed meanwhile
            continue
        if 0 < status.st_size <= MOST_BYTES:
            found.append((status.st_mtime, Path(entry.path)))
        if len(found) >= MOST_FILES:
            break
    return [path for _, path in sorted(found, reverse=True)]


def text_of(path: Path) -> str | None:
    """Returns the text of a file; None if it cannot be read, or is not a text in UTF-8."""
    try:
        content = path.read_bytes()
        return None if b"\0" in content else content.decode()
    except (OSError, UnicodeDecodeError):
        return None


def _entries(folder: Path, above: Sequence[_Ignored]) -> Iterator[os.DirEntry[str]]:
    """Yields the files in a folder and its folders.

    Args:
        folder: the folder.
        above: the rules of the folders above it, the nearest last.
    """
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError:
        return
    ignored = [*above, *_rules_of(folder)]
    for entry in entries:
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        is_folder = entry.is_dir()
        if _is_ignored(Path(entry.path), ignored, is_folder=is_folder):
            continue
        if is_folder and entry.name not in _SKIPPED_FOLDERS:
            yield from _entries(Path(entry.path), ignored)
        elif entry.is_file():
            yield entry


def _rules_of(folder: Path) -> Iterator[_Ignored]:
    """Yields the rules in a folder, if it has any."""
    lines = text_of(folder / _IGNORE_FILE)
    if lines:
        yield _Ignored(folder, GitIgnoreSpec.from_lines(lines.splitlines()))


def _is_ignored(path: Path, rules: Sequence[_Ignored], *, is_folder: bool) -> bool:
    """Whether Git ignores a path. The rules of the nearest folder decide."""
    for folder, spec in reversed(rules):
        name = path.relative_to(folder).as_posix() + "/" * is_folder
        ignores = spec.check_file(name).include
        if ignores is not None:
            return ignores
    return False
