"""The job that reads the sequences of one file of an archive."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from onward.watch.datasets import parser_for
from onward.watch.detector import Detector
from onward.watch.input.lines import read_lines
from onward.watch.input.records import UnreadableLines


@dataclass(frozen=True)
class FilePart:
    """The sequences of one file, in a form that is quick to send to another process.

    Attributes:
        keys: the key of each sequence, in the order of their first records.
        has_ended: whether each sequence ended within the file, (n,).
        lengths: number of events of each sequence, (n,).
        names: the different events.
        events: the events of all sequences, one after another, as places in `names`, (N,).
        unreadable: the lines that could not be parsed.
        lines: number of lines of the file.
    """

    keys: list[str]
    has_ended: np.ndarray
    lengths: np.ndarray
    names: list[str]
    events: np.ndarray
    unreadable: UnreadableLines
    lines: int

    def sequences(self) -> Iterator[tuple[str, list[str], bool]]:
        """Yields the key and the events of each sequence, and whether it has ended."""
        names, first = [sys.intern(name) for name in self.names], 0
        for key, length, has_ended in zip(self.keys, self.lengths.tolist(), self.has_ended, strict=True):
            yield key, [names[place] for place in self.events[first : first + length].tolist()], has_ended
            first += length


@dataclass(frozen=True)
class ReadFile:
    """The job that reads the sequences of a file, in the format of a detector.

    Attributes:
        detector: the file of the detector.
    """

    detector: str

    def __call__(self, document: Path) -> FilePart:
        parser, lines = parser_for(load_detector(self.detector)), _Counted(read_lines([document]))
        places: dict[str, int] = {}
        keys: list[str] = []
        events: list[list[int]] = []
        open_ones: dict[str, int] = {}
        ended: list[int] = []
        for record in parser.records(lines):
            number = open_ones.setdefault(record.key, len(keys))
            if number == len(keys):
                keys.append(record.key)
                events.append([])
            events[number].append(places.setdefault(record.event, len(places)))
            if record.last:
                ended.append(open_ones.pop(record.key))
        has_ended = np.zeros(len(keys), bool)
        has_ended[ended] = True
        lengths = np.array([len(sequence) for sequence in events], np.int64)
        joined = np.array([place for sequence in events for place in sequence], np.int32)
        return FilePart(keys, has_ended, lengths, list(places), joined, parser.unreadable, lines.count)


@lru_cache(maxsize=1)
def load_detector(path: str) -> Detector:
    """Returns a detector, which a process loads once."""
    return Detector.load(path)


class _Counted:
    """Counts what it iterates over."""

    def __init__(self, items: Iterable[bytes]) -> None:
        self._items, self.count = items, 0

    def __iter__(self) -> Iterator[bytes]:
        for item in self._items:
            self.count += 1
            yield item
