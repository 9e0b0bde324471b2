"""Rows of CSV out of lines: columns that are named again, and cells that hold line breaks."""

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
    """The records of lines, and what could not be read."""
    reader = make_parser(source)
    return list(reader.records(line.encode() for line in lines)), reader.trouble.told()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_second_file_begins_with_the_same_names(end: str) -> None:
    records, told = read("key,what\n", "a,open\n", f"key,what{end}", f"\ufeffkey,what{end}", f"b,read{end}")
    assert [(r.key, r.event) for r in records] == [("a", "open"), ("b", "read")]
    assert not told


@pytest.mark.parametrize("header", ["what,key,n", "n,key,what"])
def test_a_second_file_with_another_order_of_columns_is_read_by_its_own(header: str) -> None:
    cells = {"what": "read", "key": "b", "n": "7"}
    records, told = read(
        "key,what,n", "a,open,1", header, ",".join(cells[name] for name in header.split(","))
    )
    assert [(r.key, r.event) for r in records] == [("a", "open"), ("b", "read")]
    assert not told


def test_a_second_file_with_more_columns_is_read_by_its_own() -> None:
    records, told = read("key,what", "a,open", "host,what,key", "h,read,b")
    assert [(r.key, r.event) for r in records] == [("a", "open"), ("b", "read")]
    assert not told


def test_several_files_at_once_each_begin_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfkey,what\r\na,open\r\na,close\r\n")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbfkey,what\nb,open\nb,close\n")
    (tmp_path / "c.csv").write_bytes(b"\nwhat,key\nopen,c\nclose,c")
    found = load_normal([tmp_path], SOURCE)
    assert [(s.key, s.events) for s in found.sequences] == [(key, ["open", "close"]) for key in "abc"]
    assert found.trouble.count == 0


def test_a_cell_may_say_the_name_of_its_column() -> None:
    records, _ = read("what,n", "what,1", "open,what", source=InputFormat("csv", event=("what",)))
    assert [r.event for r in records] == ["what", "open"]
    records, _ = read("key,what,n", "key,open,1", "a,what,2")
    assert [(r.key, r.event) for r in records] == [("key", "open"), ("a", "what")]


def test_empty_lines_before_the_names_are_none() -> None:
    records, told = read("", "\ufeff", "  ", "key,what", "", "a,open")
    assert [(r.key, r.event, r.number) for r in records] == [("a", "open", 6)]
    assert not told


def test_line_breaks_within_quotes_are_read() -> None:
    lines = ["key,what", 'a,"log\n', "\n", 'out, ""now"""\n', '"b\n', 'c",open', 'd,"x"']
    records, told = read(*lines)
    assert [(r.key, r.event) for r in records] == [
        ("a", 'log\n\nout, "now"'),
        ("b\nc", "open"),
        ("d", "x"),
    ]
    assert [r.number for r in records] == [2, 5, 7]
    assert not told


@pytest.mark.parametrize(
    "behind",
    [
        ["b,open", "c,read"],
        ["b,open", 'c,"read"'],
        ["b,open", 'c,"read, twice"', 'd,"and\n', 'again"'],
        [f"k{i},open" for i in range(MOST_LINES + 10)],
    ],
)
def test_a_quote_that_is_not_closed_costs_its_line_alone(behind: list[str]) -> None:
    expected, _ = read("key,what", *behind)
    records, told = read("key,what", 'a,"broken', *behind)
    assert [(r.key, r.event) for r in records] == [(r.key, r.event) for r in expected]
    assert told.startswith("1 line could not be read (line 2: it is no CSV: a quote in it is not closed")


def test_what_is_held_is_given_once_nothing_could_close_it() -> None:
    rows = CsvRows(("what",), ",")
    assert rows.take(1, 'what,"n') == []
    for number in range(2, MOST_LINES):
        assert rows.take(number, "x") == []
    assert rows.take(MOST_LINES, "x") == [(1, 'what,"n'), *((n, "x") for n in range(2, MOST_LINES + 1))]
    assert rows.held == []


@pytest.mark.parametrize("stop", range(6))
def test_a_reader_goes_on_where_another_ended(stop: int) -> None:
    lines = [line.encode() for line in ("key,what", 'a,"log', 'out"', "what,key", "read,b", 'write,"c"')]
    whole, _ = read(*(line.decode() for line in lines))
    first, second = make_parser(SOURCE), make_parser(SOURCE)
    found = [record for n, line in enumerate(lines[:stop], 1) for record in first.read(line, n)]
    second.restore(first.memory)
    found += [record for n, line in enumerate(lines[stop:], stop + 1) for record in second.read(line, n)]
    assert found + second.finish() == whole


@pytest.mark.parametrize("seed", range(20))
def test_every_line_is_in_one_row_whatever_the_quotes(seed: int) -> None:
    chance = random.Random(seed)
    lines = ["".join(chance.choices('a",b ', k=chance.randrange(8))) for _ in range(400)]
    rows, found = CsvRows(("what",), ","), list[tuple[int, str]]()
    for number, line in enumerate(lines, 1):
        found += rows.take(number, line)
        kept = json.loads(json.dumps(rows.to_json()))
        rows = CsvRows(("what",), ",")
        rows.restore(kept)
    found += rows.finish()
    assert "\n".join(text for _, text in found) == "\n".join(lines)
    starts = [1 + sum(text.count("\n") + 1 for _, text in found[:i]) for i in range(len(found))]
    assert [number for number, _ in found] == starts
    assert rows.held == [] == rows.finish()


@pytest.mark.parametrize("seed", range(20))
def test_what_a_writer_of_csv_wrote_is_read(seed: int) -> None:
    chance, file = random.Random(seed), io.StringIO()
    table = [
        ["".join(chance.choices('a", \nb', k=chance.randrange(1, 9))) for _ in range(2)] for _ in range(99)
    ]
    csv.writer(file).writerows([["key", "what"], *table])
    records, told = read(*file.getvalue().replace("\r\n", "\n").split("\n"))
    assert [(r.key, r.event) for r in records] == [(key, event) for key, event in table]
    assert not told
