"""From what a user names to sequences, for learning and for judging."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from onward.errors import CorpusError
from onward.watch.detector import Detector
from onward.watch.lines import lines_of, text_of
from onward.watch.readers import Reader, Source, reader_of
from onward.watch.records import KeyedSequence, Trouble, grouped
from onward.watch.templates import Templates

Names = Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class Loaded:
    """Sequences, and how they were read.

    Attributes:
        sequences: in the order in which they begin.
        reading: how, as plain values: what a detector keeps as its `source`.
        trouble: lines that could not be read.
    """

    sequences: list[KeyedSequence]
    reading: dict[str, Any]
    trouble: Trouble

    @property
    def events(self) -> list[list[str]]:
        """The events of each."""
        return [sequence.events for sequence in self.sequences]


def load_normal(names: Names, source: Source) -> Loaded:
    """The sequences to learn from; of log lines the templates are mined first.

    Raises:
        CorpusError: no source, or nothing in it that can be read.
    """
    mined = source.form == "log" and source.symbols == "templates"
    templates = Templates.of(text_of(line) for line in lines_of(names)) if mined else None
    reading = {"reader": source.to_json(), "templates": templates.to_json() if templates else None}
    return _loaded(names, reader_of(source, templates), reading)


def load_for(detector: Detector, names: Names) -> Loaded:
    """Sequences read as the detector's own were.

    Raises:
        CorpusError: no source, or nothing in it that can be read.
    """
    return _loaded(names, reader_for(detector), detector.source)


def reader_for(detector: Detector) -> Reader:
    """What reads lines as the lines that a detector learned from were read."""
    if not detector.source:
        return reader_of(Source())
    templates = detector.source["templates"]
    known = None if templates is None else Templates(templates)
    return reader_of(Source.from_json(detector.source["reader"]), known)


def _loaded(names: Names, reader: Reader, reading: dict[str, Any]) -> Loaded:
    sequences = grouped(reader.records(lines_of(names)))
    if not sequences:
        told = reader.trouble.told()
        raise CorpusError(
            f"expected events in {', '.join(map(str, names))}, found none{': ' if told else ''}{told}",
            hint="say how its lines are to be read: --key and --event, or --log",
        )
    return Loaded(sequences, reading, reader.trouble)
