"""Reads the sequences of an archive, file by file.

A key may have records in several files. The parts of its sequence are joined in the order of the files, so
the sequences are those that one process reads. Each file is read by itself: a CSV file needs its own header,
and a row or a record that is divided between two files is unreadable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onward.errors import OnwardError
from onward.scale.archives.engine import ArchiveEngine, in_order
from onward.scale.archives.read_file import FilePart, ReadFile, load_detector
from onward.watch.datasets import format_hint, no_records_error
from onward.watch.input.records import UnreadableLines


@dataclass
class ArchiveSequences:
    """The sequences of all files that could be read.

    Attributes:
        events: the events of each sequence, in the order of their first records.
        unreadable: the lines that could not be parsed, numbered through all files.
        failed: number of files that could not be read.
    """

    events: list[list[str]] = field(default_factory=list)
    unreadable: UnreadableLines = field(default_factory=UnreadableLines)
    failed: int = 0
    _open: dict[str, list[str]] = field(default_factory=dict)
    _lines: int = 0

    def add(self, part: FilePart) -> None:
        """Adds the sequences of the next file."""
        for key, events, has_ended in part.sequences():
            if key in self._open and not has_ended:
                self._open[key] += events
                continue
            self.events.append(events)
            if not has_ended:  # an ended sequence never continues in another file
                self._open[key] = events
        for number, reason in part.unreadable.examples:
            self.unreadable.add(self._lines + number, reason)
        self.unreadable.count += part.unreadable.count - len(part.unreadable.examples)
        self._lines += part.lines


def read_sequences(
    detector: str, files: Sequence[Path], engine: ArchiveEngine, failed: Callable[[OnwardError, Path], None]
) -> ArchiveSequences:
    """Returns the sequences of files, which an engine reads.

    Args:
        detector: the file of the detector.
        files: the files, in the order of their records.
        engine: applies `ReadFile`.
        failed: called with the error of each file that could not be read, and the file.

    Raises:
        CorpusError: no file has a readable record.
    """
    found = ArchiveSequences()
    for outcome in in_order(engine(ReadFile(detector), files)):
        if outcome.error:
            found.failed += 1
            failed(outcome.error, files[outcome.number])
        else:
            found.add(outcome.result)
    if not found.events:
        raise no_records_error(files, found.unreadable, format_hint(load_detector(detector)))
    return found
