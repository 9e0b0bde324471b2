"""From what a user names to sequences, for learning and for judging."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from onward.data.corpus import find_sources
from onward.errors import CorpusError, InputError
from onward.watch.detector import Detector
from onward.watch.input.format import Form, InputFormat
from onward.watch.input.lines import lines_of, text_of
from onward.watch.input.log_templates import Templates
from onward.watch.input.parsers import RecordParser, reader_of
from onward.watch.input.records import KeyedSequence, UnreadableLines, grouped

Names = Sequence[str | PathLike[str]]

_FEW_EVENTS, _OFTEN_NEW = 20, 0.1
"""Different events that any source may have, and the share of all above which they are doubted."""


@dataclass(frozen=True)
class Dataset:
    """Sequences, and how they were read.

    Attributes:
        sequences: in the order in which they begin.
        reading: how, as plain values: what a detector keeps as its `source`.
        trouble: lines that could not be read.
    """

    sequences: list[KeyedSequence]
    reading: dict[str, Any]
    trouble: UnreadableLines

    @property
    def events(self) -> list[list[str]]:
        """The events of each."""
        return [sequence.events for sequence in self.sequences]

    @property
    def doubt(self) -> str:
        """What speaks against the lines being a sequence each, as a sentence; "" if nothing does."""
        if self.reading["reader"]["form"] != "sequences":
            return ""
        events = sum(len(sequence.events) for sequence in self.sequences)
        distinct = len({event for sequence in self.sequences for event in sequence.events})
        if distinct <= max(_FEW_EVENTS, _OFTEN_NEW * events):
            return ""
        return (
            f"{distinct:,} of {events:,} events are different, which in sequences of events few are: "
            "raw log lines are read by --log, CSV and JSON lines by --event"
        )

    def last_of(self, key: str) -> KeyedSequence:
        """The sequence of a key; of several the last.

        Raises:
            InputError: there is none.
        """
        found = [sequence for sequence in self.sequences if sequence.key == key]
        if not found:
            some = ", ".join(list(dict.fromkeys(sequence.key for sequence in self.sequences))[:3])
            raise InputError(f"there is no sequence {key!r}", hint=f"keys are such as {some}")
        return found[-1]


def load_normal(names: Names, source: InputFormat) -> Dataset:
    """The sequences to learn from; of log lines the templates are mined first.

    Raises:
        CorpusError: no source, or nothing in it that can be read.
    """
    documents = find_sources(names).documents  # once: a pipe can be read no second time
    mined = source.form == "log" and source.symbols == "templates"
    templates = Templates.of(text_of(line) for line in lines_of(documents)) if mined else None
    reading = {"reader": source.to_json(), "templates": templates.to_json() if templates else None}
    loaded = _loaded(lines_of(documents), reader_of(source, templates), reading)
    if not loaded.sequences:
        raise no_records_error(names, loaded.trouble, f"read as {_told(source)}; {_OTHERWISE[source.form]}")
    return loaded


def load_sequences(detector: Detector, names: Names) -> Dataset:
    """Sequences read as the detector's own were.

    Raises:
        CorpusError: no source, or nothing in it that can be read.
    """
    loaded = _loaded(lines_of(names), parser_for(detector), detector.source)
    if not loaded.sequences:
        raise no_records_error(names, loaded.trouble, describe_format(detector))
    return loaded


def no_records_error(names: Names, trouble: UnreadableLines, hint: str) -> CorpusError:
    """That there is no record in sources, and why."""
    told = f": {trouble.told()}" if trouble.count else ""
    return CorpusError(f"expected events in {', '.join(map(str, names))}, found none{told}", hint=hint)


def describe_format(detector: Detector) -> str:
    """What lines a detector expects, as a sentence."""
    return f"the detector was made for {_told(_source_of(detector))}: name such lines, or learn from these"


def parser_for(detector: Detector) -> RecordParser:
    """What reads lines as the lines that a detector learned from were read."""
    templates = detector.source.get("templates")
    return reader_of(_source_of(detector), None if templates is None else Templates(templates))


def _source_of(detector: Detector) -> InputFormat:
    return InputFormat.from_json(detector.source["reader"]) if detector.source else InputFormat()


def _loaded(lines: Iterable[bytes], reader: RecordParser, reading: dict[str, Any]) -> Dataset:
    return Dataset(grouped(reader.records(lines)), reading, reader.trouble)


_OTHERWISE: dict[Form, str] = {
    "sequences": "--event NAME reads columns, --log raw lines",
    "csv": "other columns are named by --event, --key and --time, and --form jsonl reads JSON lines",
    "jsonl": "other columns are named by --event, --key and --time, and --form csv reads CSV",
    "log": "--key-regex says what groups them; without it each is a sequence of its own",
}


def _told(source: InputFormat) -> str:
    """How its lines are read, in words."""
    names = dict.fromkeys(name for name in (source.key, *source.event, source.time) if name)
    columns = f"with the columns {', '.join(names)}"
    match source.form:
        case "sequences":
            return "a sequence a line"
        case "csv":
            return f"CSV {columns}"
        case "jsonl":
            return f"JSON lines {columns}"
        case _:
            return f"log lines with {source.key_regex} in them" if source.key_regex else "log lines"
