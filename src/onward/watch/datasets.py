"""Loads the sequences of sources, for learning and for evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import Any

from onward.errors import CorpusError, InputError
from onward.watch.detector import Detector
from onward.watch.input.detection import SAMPLED_LINES, FormatOptions, detect_format
from onward.watch.input.format import InputFormat
from onward.watch.input.lines import is_binary, read_lines
from onward.watch.input.log_files import find_log_files
from onward.watch.input.log_templates import Templates
from onward.watch.input.numbers import ColumnNumbers, numbers_from_json, numbers_to_json
from onward.watch.input.parsers import RecordParser, learn_numbers, make_parser, mine_templates
from onward.watch.input.pauses import Pauses
from onward.watch.input.records import KeyedSequence, UnreadableLines, group_by_key

Names = Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class Dataset:
    """Sequences, and the format that they were read in.

    Attributes:
        sequences: the sequences in the order of their first records.
        source: the format and the log templates as JSON values; a detector stores it as its `source`.
        unreadable: lines that could not be parsed.
    """

    sequences: list[KeyedSequence]
    source: dict[str, Any]
    unreadable: UnreadableLines

    @property
    def events(self) -> list[list[str]]:
        """The events of each sequence."""
        return [sequence.events for sequence in self.sequences]

    @property
    def input_format(self) -> InputFormat:
        """The format that the sequences were read in."""
        return InputFormat.from_json(self.source["reader"])

    def last_of(self, key: str) -> KeyedSequence:
        """Returns the last sequence of a key.

        Raises:
            InputError: there is none.
        """
        found = [sequence for sequence in self.sequences if sequence.key == key]
        if not found:
            some = ", ".join(list(dict.fromkeys(sequence.key for sequence in self.sequences))[:3])
            raise InputError(f"there is no sequence {key!r}", hint=f"some of the keys are {some}")
        return found[-1]


def load_normal(
    names: Names, source: InputFormat | FormatOptions, notify: Callable[[str], None] = lambda _: None
) -> Dataset:
    """Loads the sequences to learn from. Templates are mined first.

    Args:
        names: the sources.
        source: the format of their lines, or what is known about it.
        notify: called with messages about the detected format.

    Raises:
        CorpusError: a source is missing, is binary, or has no readable record.
        InputError: options that do not belong to the format.
    """
    documents = find_log_files(names, notify)  # standard input can be read only once
    if is_binary(islice(read_lines(documents), SAMPLED_LINES)):
        raise CorpusError(
            f"expected text in {', '.join(map(str, names))}, got binary data",
            hint="name a log, or another file with lines of text",
        )
    if isinstance(source, FormatOptions):
        options = source
        source = detect_format(read_lines(documents), options, str(names[0]))
        for line in source.explain(options == FormatOptions()):
            notify(line)
    templates = mine_templates(source, read_lines(documents)) if source.has_templates else None
    numbers, measures = learn_numbers(source, templates, read_lines(documents))
    described = {
        "reader": source.to_json(),
        "templates": templates.to_json() if templates else None,
        "numbers": numbers_to_json(numbers),
        "measures": numbers_to_json(measures),
    }
    parser, pauses = _parser(described), Pauses()
    sequences = group_by_key(pauses.noted(parser.records(read_lines(documents))))
    if not sequences:
        raise no_records_error(names, parser.unreadable, source.other_options)
    return Dataset(sequences, described | {"longest_pause": pauses.longest}, parser.unreadable)


def load_sequences(detector: Detector, names: Names) -> Dataset:
    """Loads sequences in the format of the detector.

    Raises:
        CorpusError: a source is missing, or has no readable record.
    """
    documents, parser = find_log_files(names), parser_for(detector)
    sequences = group_by_key(parser.records(read_lines(documents)))
    if not sequences:
        raise no_records_error(names, parser.unreadable, format_hint(detector))
    return Dataset(sequences, detector.source, parser.unreadable)


def no_records_error(names: Names, unreadable: UnreadableLines, hint: str) -> CorpusError:
    """Returns the error for sources without a readable record."""
    details = f": {unreadable.message()}" if unreadable.count else ""
    return CorpusError(f"expected events in {', '.join(map(str, names))}, found none{details}", hint=hint)


def format_hint(detector: Detector) -> str:
    """Returns a hint with the format that the detector reads."""
    form = format_of(detector).describe()
    return f"the detector reads {form}: give a source in this format, or learn a new detector"


def format_of(detector: Detector) -> InputFormat:
    """Returns the format of the detector's training data; a sequence per line if it was learned in Python.

    Raises:
        InputError: the detector's file holds no valid format.
    """
    return InputFormat.from_json(detector.source["reader"]) if detector.source else InputFormat()


def parser_for(detector: Detector) -> RecordParser:
    """Returns a new parser for lines in the format of the detector's training data."""
    return _parser(detector.source) if detector.source else make_parser(InputFormat())


def _parser(source: dict[str, Any]) -> RecordParser:
    """Returns a new parser for the `source` of a detector."""
    templates, numbers = source["templates"], numbers_from_json(source.get("numbers", {}))
    measures = numbers_from_json(source.get("measures", {}))
    return make_parser(
        InputFormat.from_json(source["reader"]),
        None if templates is None else Templates(templates, numbers),
        ColumnNumbers(measures),
    )
