"""Parsers turn every form of line, with any bytes, into records."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from onward.errors import CorpusError, InputError
from onward.watch.datasets import load_normal
from onward.watch.input.format import InputFormat
from onward.watch.input.lines import LONGEST_LINE, decode_line, read_lines
from onward.watch.input.log_templates import Templates
from onward.watch.input.parsers import make_parser
from onward.watch.input.records import group_by_key


def test_sequences_with_any_line_end_and_invalid_bytes() -> None:
    records = list(make_parser(InputFormat()).records([b"5 5 22\r\n", b"\r\n", b"\xff 9", b"7"]))
    assert [(s.key, s.events) for s in group_by_key(records)] == [
        ("1", ["5", "5", "22"]), ("3", ["\ufffd", "9"]), ("4", ["7"]),
    ]  # fmt: skip


def test_csv_lines_have_columns_and_broken_ones_are_counted() -> None:
    parser = make_parser(InputFormat("csv", key="host", event=("level", "what"), time="at"))
    lines = [
        b"host,at,level,what\n",
        b'a,10,INFO,"x, y"\r\n',
        b"b,2026-01-01T00:00:00Z,WARN,z\n",
        b"a,11\n",
        b"a,now,INFO,q\n",
    ]
    first, second = list(parser.records(lines))
    assert first[:3] == ("a", "INFO x, y", 10.0)
    assert second[:3] == ("b", "WARN z", 1767225600.0)
    assert parser.unreadable.count == 2
    assert "line 4: expected 4 columns, got 2" in parser.unreadable.message()
    assert "line 5: expected a time, got 'now'" in parser.unreadable.message()


@pytest.mark.parametrize("line", [b'"abc,1', b'"a"b,1', b"a\rb,1"])
def test_lines_that_are_not_csv_are_counted_and_the_others_read(line: bytes) -> None:
    parser = make_parser(InputFormat("csv", event=("what",)))
    records = list(parser.records([b"what,n", line, b"open,2"]))
    assert [record.event for record in records] == ["open"]
    assert "line 2: not CSV" in parser.unreadable.message()


def test_json_lines_have_columns_and_broken_ones_are_counted() -> None:
    parser = make_parser(InputFormat("jsonl", key="k", event=("e",)))
    records = list(parser.records([b'{"k": 7, "e": "go"}', b"{", b"[1]", b'{"k": 1}', b'{"k": "8", "e": 1}']))
    assert [(r.key, r.event) for r in records] == [("7", "go"), ("8", "1")]
    assert parser.unreadable.count == 3
    assert "line 3: not a JSON object; line 4: no column 'e' among k" in parser.unreadable.message()


def test_a_json_line_nested_at_any_depth_never_stops_the_parser() -> None:
    """At some depth, Python can read a value that it cannot write."""
    parser = make_parser(InputFormat("jsonl", key="k", event=("e",)))
    for depth in range(500, 1100):
        parser.read(b'{"k": 1, "e": %b1%b}' % (b"[" * depth, b"]" * depth), depth)
    assert parser.unreadable.count > 0
    assert [r.event for r in parser.read(b'{"k": 1, "e": "go"}', 1)] == ["go"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (InputFormat("jsonl", key="k", event=("e", "f")), '{{"k": "k", "e": "{0}", "f": "{0}"}}'),
        (InputFormat("sequences"), "{0}"),
    ],
)
def test_a_long_event_is_cut_and_a_long_key_is_unreadable(source: InputFormat, line: str) -> None:
    """Open sequences keep the names of their events in memory."""
    parser = make_parser(source)
    (record,) = parser.read(line.format("x" * 5000).encode(), 1)
    assert record.event == "x" * 1000
    if source.key:
        assert parser.read(b'{"k": "%b", "e": "go", "f": ""}' % (b"x" * 5000), 2) == []
        assert "line 2: expected a key of at most 1,000 characters" in parser.unreadable.message()


def test_a_lone_surrogate_is_replaced() -> None:
    """A logger that cuts an emoji in half writes one; no file and no database can store it."""
    parser = make_parser(InputFormat("jsonl", key="k", event=("e",)))
    (record,) = parser.read(rb'{"k": "a\ud83d", "e": "\udc00go"}', 1)
    assert (record.key, record.event) == ("a?", "?go")
    (whole,) = parser.read(rb'{"k": "a\ud83d\ude00", "e": "go"}', 2)
    assert whole.key == "a\U0001f600"


def test_interleaved_keys_are_separate_sequences() -> None:
    lines = [b'{"k": "a", "e": "1"}', b'{"k": "b", "e": "2"}', b'{"k": "a", "e": "3"}']
    found = group_by_key(make_parser(InputFormat("jsonl", key="k", event=("e",))).records(lines))
    assert [(s.key, s.events, s.lines) for s in found] == [("a", ["1", "3"], [1, 3]), ("b", ["2"], [2])]


LOG = [f"Received block blk_{i} of size {i * 7} from 10.0.0.{i}" for i in range(30)]
LOG += [f"Deleting block blk_{i} file /data/{i}" for i in range(30)]


def test_log_lines_become_templates_grouped_by_a_pattern() -> None:
    templates = Templates.mine(LOG)
    deleting, receiving = templates.texts
    assert deleting == "Deleting block blk_<*> file <*>"
    assert receiving == "Received block blk_<*> of size <*> from <*>"
    again = Templates(templates.to_json())
    parser = make_parser(InputFormat("log", key_regex=r"blk_(\d+)"), again)
    found = group_by_key(
        parser.records([line.encode() for line in [*LOG, "no block here", "odd blk_3 thing"]])
    )
    assert len(found) == 30
    assert found[3].events == [receiving, deleting, "odd blk_<*> thing"]
    assert parser.unreadable.count == 1
    assert r"line 61: no match of blk_(\d+)" in parser.unreadable.message()


def test_log_lines_by_bytes_keep_every_byte_up_to_a_limit() -> None:
    parser = make_parser(InputFormat("log", symbols="bytes"))
    first, *_ = parser.read(b"\xff\x00a" + b"b" * 5000, 1)
    assert first.event == "\u00ef"  # of U+FFFD in UTF-8, as Latin-1
    events = parser.read(b"x" * 5000, 1)
    assert len(events) == 1000 and events[-1].last and not events[0].last


def test_files_may_be_compressed_and_their_last_line_may_have_no_end(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(b"\xef\xbb\xbfone\r\n\r\n" + b"x" * (LONGEST_LINE + 5) + b"\nlast")
    packed.write_bytes(gzip.compress(b"two\n"))
    lines = list(read_lines([plain, packed]))
    assert [decode_line(line)[:5] for line in lines] == ["one", "", "xxxxx", "last", "two"]
    assert len(lines[2]) == LONGEST_LINE


@pytest.mark.parametrize("suffix", ["gz", "xz", "bz2", "zst"])
def test_sources_are_learned_from_in_any_compression(suffix: str, tmp_path: Path) -> None:
    content = b"".join(b"s%d,open\n" % i for i in range(1000))
    compress = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstandard.compress}[
        suffix
    ]
    path = tmp_path / f"audit.csv.{suffix}"
    path.write_bytes(compress(b"key,what\n" + content))
    source = InputFormat("csv", key="key", event=("what",))
    assert len(load_normal([path], source).sequences) == 1000
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorpusError, match=f"audit.csv.{suffix}"):
        load_normal([path], source)


def test_a_format_is_checked_and_stored_as_json() -> None:
    with pytest.raises(InputError, match="regular expression"):
        InputFormat("log", key_regex="(")
    with pytest.raises(InputError, match="form must be sequences, csv, jsonl, logfmt or log"):
        InputFormat.from_json({"form": "xml", "event": []})
    for damaged in ({}, {"event": 3}, {"event": [], "other": 1}):
        with pytest.raises(InputError, match="expected an input format"):
            InputFormat.from_json(damaged)
    source = InputFormat("csv", key="k", event=("a", "b"), delimiter="tab")
    assert source.delimiter == "\t"
    assert InputFormat.from_json(source.to_json()) == source
    assert source.describe() == "CSV with the columns k, a, b"
