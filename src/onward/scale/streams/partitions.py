"""The partitions of a topic that one process watches, and the files of their states."""

import re
from pathlib import Path

from onward.errors import InputError, WriteError

_RANGES = re.compile(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*")


def parse_partitions(text: str | None, count: int) -> list[int]:
    """Returns the partitions that a text such as 0-3,7 names, in order; without a text all.

    Args:
        text: the text.
        count: number of partitions of the topic, which are numbered from 0.

    Raises:
        InputError: the text is malformed, or the topic has no such partition.
    """
    if text is None:
        return [*range(count)]
    if not _RANGES.fullmatch(text):
        raise InputError(f"expected partitions, got {text!r}", hint="write them as 0, 0-3 or 0,2,5")
    found = set[int]()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(first) > int(last or first):
            raise InputError(
                f"expected a range of partitions, got {part}", hint=f"write it as {last}-{first}"
            )
        if int(last or first) >= count:
            raise InputError(
                f"expected partitions from 0 to {count - 1}, got {part}",
                hint=f"the topic has {count} partitions: leave out --partitions to read all of them",
            )
        found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def state_path(folder: Path, topic: str, partition: int) -> Path:
    """Returns the file of the state of a partition."""
    return folder / f"{topic}-{partition}.db"


def alarms_path(alarms: Path, partition: int) -> Path:
    """Returns the file for the alarms of a partition: alarms-3.jsonl."""
    return alarms.with_name(f"{alarms.stem}-{partition}{alarms.suffix}")


def make_folder(folder: Path) -> None:
    """Makes the folder of the states, for this user alone, because logs may be private.

    Raises:
        InputError: there is a file of this name.
        WriteError: the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InputError(
            f"expected a folder for the states of the partitions, got the file {folder}",
            hint="name a folder with --state",
        ) from error
    except OSError as error:
        raise WriteError.of(folder, error) from error
