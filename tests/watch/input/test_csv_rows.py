"""CSV rows: repeated headers, and cells that contain line breaks."""

import csv
import io
import json
import random
from pathlib import Path

import pytest

from onward.watch.datasets import load_normal
from onward.watch.input.csv_rows import MOST_LINES, CsvRows
from onward.watch.input.format import InputFormat
from onward.watch.input.parsers import make_parser
from onward.watch.input.records import Record

SOURCE = InputFormat("csv", key="key", event=("what",))


def read(*lines: str, source: InputFormat = SOURCE) -> tuple[list[Record], str]:
    """Returns the records of lines, and the message about unreadable ones."""
    parser = make_parser(source)
    return list(parser.records(line.encode() for line in lines)), parser.unreadable.message()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_second_file_starts_with_the_same_header(end: str) -> None:
    records, message = read(
        "key,what\n", "a,open\n", f"key,what{end}", f"\ufeffkey,what{end}", f"b,read{end}"
    )
    assert [(r.key, r.event) for r in records] == [("a", "open"), ("b", "read")]
    assert not message


@pytest.mark.parametrize("header", ["what,key,n", "n,key,what"])
def test_a_second_file_may_have_another_column_order(header: str) -> None:
    cells = {"what": "read", "key": "b", "n": "7"}
    records, message = read(
        "key,what,n", "a,open,1", header, ",".join(cells[name] for name in header.split(","))
    )
    assert [(r.key, r.event) for r in records] == [("a", "open"), ("b", "read")]
    assert not message


def test_a_second_file_may_have_more_columns() -> None:
    records, message = read("key,what", "a,open", "host,what,key", "h,read,b")
    assert [(r.key, r.event) for r in records] == [("a", "open"), ("b", "read")]
    assert not message


def test_each_of_several_files_has_its_own_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfkey,what\r\na,open\r\na,close\r\n")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbfkey,what\nb,open\nb,close\n")
    (tmp_path / "c.csv").write_bytes(b"\nwhat,key\nopen,c\nclose,c")
    found = load_normal([tmp_path], SOURCE)
    assert [(s.key, s.events) for s in found.sequences] == [(key, ["open", "close"]) for key in "abc"]
    assert found.unreadable.count == 0


def test_a_cell_may_hold_the_name_of_its_column() -> None:
    records, _ = read("what,n", "what,1", "open,what", source=InputFormat("csv", event=("what",)))
    assert [r.event for r in records] == ["what", "open"]
    records, _ = read("key,what,n", "key,open,1", "a,what,2")
    assert [(r.key, r.event) for r in records] == [("key", "open"), ("a", "what")]


def test_empty_lines_before_the_header_are_skipped() -> None:
    records, message = read("", "\ufeff", "  ", "key,what", "", "a,open")
    assert [(r.key, r.event, r.number) for r in records] == [("a", "open", 6)]
    assert not message


def test_line_breaks_within_quotes_belong_to_the_cell() -> None:
    lines = ["key,what", 'a,"log\n', "\n", 'out, ""now"""\n', '"b\n', 'c",open', 'd,"x"']
    records, message = read(*lines)
    assert [(r.key, r.event) for r in records] == [
        ("a", 'log\n\nout, "now"'),
        ("b\nc", "open"),
        ("d", "x"),
    ]
    assert [r.number for r in records] == [2, 5, 7]
    assert not message


@pytest.mark.parametrize(
    "behind",
    [
        ["b,open", "c,read"],
        ["b,open", 'c,"read"'],
        ["b,open", 'c,"read, twice"', 'd,"and\n', 'again"'],
        [f"k{i},open" for i in range(MOST_LINES + 10)],
    ],
)
def test_an_unclosed_quote_loses_only_its_own_line(behind: list[str]) -> None:
    expected, _ = read("key,what", *behind)
    records, message = read("key,what", 'a,"broken', *behind)
    assert [(r.key, r.event) for r in records] == [(r.key, r.event) for r in expected]
    assert message.startswith("1 line could not be read (line 2: not CSV: a quote is not closed")


def test_pending_lines_are_returned_when_no_line_can_close_the_quote() -> None:
    rows = CsvRows(("what",), ",")
    assert rows.add_line(1, 'what,"n') == []
    for number in range(2, MOST_LINES):
        assert rows.add_line(number, "x") == []
    assert rows.add_line(MOST_LINES, "x") == [(1, 'what,"n'), *((n, "x") for n in range(2, MOST_LINES + 1))]
    assert rows.pending == []


@pytest.mark.parametrize("stop", range(6))
def test_a_parser_continues_from_the_state_of_another(stop: int) -> None:
    lines = [line.encode() for line in ("key,what", 'a,"log', 'out"', "what,key", "read,b", 'write,"c"')]
    whole, _ = read(*(line.decode() for line in lines))
    first, second = make_parser(SOURCE), make_parser(SOURCE)
    found = [record for n, line in enumerate(lines[:stop], 1) for record in first.read(line, n)]
    second.restore(first.state)
    found += [record for n, line in enumerate(lines[stop:], stop + 1) for record in second.read(line, n)]
    assert found + second.finish() == whole


@pytest.mark.parametrize("seed", range(20))
def test_every_line_is_in_exactly_one_row(seed: int) -> None:
    chance = random.Random(seed)
    lines = ["".join(chance.choices('a",b ', k=chance.randrange(8))) for _ in range(400)]
    rows, found = CsvRows(("what",), ","), list[tuple[int, str]]()
    for number, line in enumerate(lines, 1):
        found += rows.add_line(number, line)
        state = json.loads(json.dumps(rows.to_json()))
        rows = CsvRows(("what",), ",")
        rows.restore(state)
    found += rows.finish()
    assert "\n".join(text for _, text in found) == "\n".join(lines)
    starts = [1 + sum(text.count("\n") + 1 for _, text in found[:i]) for i in range(len(found))]
    assert [number for number, _ in found] == starts
    assert rows.pending == [] == rows.finish()


@pytest.mark.parametrize("seed", range(20))
def test_csv_of_another_writer_is_read(seed: int) -> None:
    chance, file = random.Random(seed), io.StringIO()
    table = [
        ["".join(chance.choices('a", \nb', k=chance.randrange(1, 9))) for _ in range(2)] for _ in range(99)
    ]
    csv.writer(file).writerows([["key", "what"], *table])
    records, message = read(*file.getvalue().replace("\r\n", "\n").split("\n"))
    assert [(r.key, r.event) for r in records] == [(key, event) for key, event in table]
    assert not message
