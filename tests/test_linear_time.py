"""Text that comes from anywhere never takes more than linear time, whatever it consists of.

A text of this size takes milliseconds, or a second if it has many lines. A quadratic algorithm takes minutes
for some of these texts, so it fails, and a slow machine does not.
"""

import io
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest

from onward.data.pieces import pieces
from onward.data.vocabulary import Vocabulary
from onward.errors import InputError
from onward.inference.completion.search import split_partial_word
from onward.inference.text_source import open_source
from onward.watch.input.csv_rows import CsvRows
from onward.watch.input.detection import FormatOptions, detect_format
from onward.watch.input.format import InputFormat
from onward.watch.input.log_templates import Templates
from onward.watch.input.masks import mask_line
from onward.watch.input.parsers import make_parser
from onward.watch.input.times import parse_time

SIZE, LONGEST_SECONDS = 1 << 16, 20.0
UNITS = (
    "a", "\u00e9", "1", "f0", "a ", "0x", "aa:", "1.", "1-", "12345678-1234-", "\n", "\r", '"', '""', ",",
    "\0", "[", '{"a":', 'a","b\n', 'a","' + "b" * 2000 + "\n",
)  # fmt: skip
ENDS = ("", "!")
WORDS = Vocabulary.of_text("a b c", "words")


def all_lines(text: str) -> None:
    with open_source(text, WORDS) as source:
        for _ in source.lines():
            pass


def all_rows(text: str) -> None:
    rows = CsvRows(("key",), ",")
    rows.add_line(1, text)
    rows.finish()


def time_of(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        parse_time(text)


def parsed(form: InputFormat, templates: Templates | None = None) -> Callable[[str], None]:
    def parse(text: str) -> None:
        parser = make_parser(form, templates)
        consume(parser.records(io.BytesIO(text.encode())))

    return parse


def format_of(lines: list[str]) -> None:
    with suppress(InputError):
        detect_format([line.encode() for line in lines], FormatOptions())


def consume(values: Iterable[object]) -> None:
    for _ in values:
        pass


READERS: dict[str, Callable[[str], object]] = {
    "the last word of a prompt": lambda text: split_partial_word(text, WORDS),
    "words": WORDS.encode,
    "pieces of words": lambda text: consume(pieces(iter([text.encode()] * 2), "words")),
    "lines": all_lines,
    "masks of a log line": mask_line,
    "a time": lambda text: time_of(text) if text.strip("1. \r\n") else None,
    "CSV": all_rows,
    "log lines with a key": parsed(InputFormat("log", key_regex=r"(\w+\s?)+$"), Templates(["a <*>"])),
    "the format of a source": lambda text: format_of(text.split("\n")),
    "the format of ten lines": lambda text: format_of([text[:20_000]] * 10),
    "logfmt": parsed(InputFormat("logfmt", event=("a",))),
    "JSON lines": parsed(InputFormat("jsonl", event=("a",))),
    "CSV lines": parsed(InputFormat("csv", event=("a",))),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.slow
def test_no_text_takes_more_than_linear_time(name: str) -> None:
    for unit in UNITS:
        for end in ENDS:
            text = unit * (SIZE // len(unit)) + end
            started = time.monotonic()
            READERS[name](text)
            assert time.monotonic() - started < LONGEST_SECONDS, f"{unit!r}, then {end!r}"
