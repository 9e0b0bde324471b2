"""Every form of line becomes records, whatever its bytes."""

import gzip

import pytest

from onward.errors import CorpusError, InputError
from onward.watch.input.format import InputFormat, detect_format
from onward.watch.input.lines import LONGEST_LINE, lines_of, text_of
from onward.watch.input.log_templates import NO_TEMPLATE, Templates, masked
from onward.watch.input.parsers import parse_time, make_parser
from onward.watch.input.records import grouped


def test_sequences_take_any_line_end_and_broken_bytes():
    records = list(make_parser(InputFormat()).records([b"5 5 22\r\n", b"\r\n", b"\xff 9", b"7"]))
    assert [(s.key, s.events) for s in grouped(records)] == [
        ("1", ["5", "5", "22"]), ("3", ["\ufffd", "9"]), ("4", ["7"]),
    ]  # fmt: skip


def test_csv_lines_are_grouped_by_key_and_broken_ones_counted():
    reader = make_parser(InputFormat("csv", key="host", event=("level", "what"), time="at"))
    lines = [
        b"host,at,level,what\n",
        b'a,10,INFO,"x, y"\r\n',
        b"b,2026-01-01T00:00:00Z,WARN,z\n",
        b"a,11\n",
        b"a,now,INFO,q\n",
    ]
    first, second = list(reader.records(lines))
    assert first[:3] == ("a", "INFO x, y", 10.0)
    assert second[:3] == ("b", "WARN z", 1767225600.0)
    assert reader.trouble.count == 2
    assert "line 4: expected 4 columns, got 2" in reader.trouble.told()
    assert "line 5: expected a time, got 'now'" in reader.trouble.told()


@pytest.mark.parametrize("line", [b'"abc,1', b'"a"b,1', b"a\rb,1", b"x" * 140_000 + b",1"])
def test_csv_lines_that_are_none_are_counted_and_the_rest_is_read(line: bytes):
    reader = make_parser(InputFormat("csv", event=("what",)))
    records = list(reader.records([b"what,n", line, b"open,2"]))
    assert [record.event for record in records] == ["open"]
    assert "line 2: it is no CSV" in reader.trouble.told()


def test_json_lines_are_read_and_broken_ones_counted():
    reader = make_parser(InputFormat("jsonl", key="k", event=("e",)))
    records = list(reader.records([b'{"k": 7, "e": "go"}', b"{", b"[1]", b'{"k": 1}', b'{"k": "8", "e": 1}']))
    assert [(r.key, r.event) for r in records] == [("7", "go"), ("8", "1")]
    assert reader.trouble.count == 3


def test_half_a_pair_of_surrogates_is_replaced_as_broken_bytes_are():
    """A logger that cuts an emoji writes one; no file and no database can hold it."""
    reader = make_parser(InputFormat("jsonl", key="k", event=("e",)))
    ((record,),) = [reader.read(rb'{"k": "a\ud83d", "e": "\udc00go"}', 1)]
    assert (record.key, record.event) == ("a?", "?go")
    ((whole,),) = [reader.read(rb'{"k": "a\ud83d\ude00", "e": "go"}', 2)]
    assert whole.key == "a\U0001f600"


def test_interleaved_keys_stay_apart():
    lines = [b'{"k": "a", "e": "1"}', b'{"k": "b", "e": "2"}', b'{"k": "a", "e": "3"}']
    found = grouped(make_parser(InputFormat("jsonl", key="k", event=("e",))).records(lines))
    assert [(s.key, s.events, s.lines) for s in found] == [("a", ["1", "3"], [1, 3]), ("b", ["2"], [2])]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("took 12.5 ms at 2026-01-02T03:04:05Z", "took <*> ms at <*>"),
        ("from 10.0.0.1:8080 to /10.1.2.3:50010", "from <*> to /<*>"),
        ("blk_-1608999687919862906 terminating", "blk_<*> terminating"),
        ("id 0xDEADbeef and 550e8400-e29b-41d4-a716-446655440000", "id <*> and <*>"),
        ("R02-M1-N0 deadbeef facade", "R<*>-M<*>-N<*> deadbeef facade"),
    ],
)
def test_what_varies_is_masked(line, expected):
    assert masked(line) == expected


LOG = [f"Received block blk_{i} of size {i * 7} from 10.0.0.{i}" for i in range(30)]
LOG += [f"Deleting block blk_{i} file /data/{i}" for i in range(30)]


def test_log_lines_are_named_by_their_templates_and_grouped_by_a_pattern():
    templates = Templates.mine(LOG)
    assert templates.texts == (
        "Received block blk_<*> of size <*> from <*>", "Deleting block blk_<*> file /data/<*>",
    )  # fmt: skip
    again = Templates(templates.to_json())
    reader = make_parser(InputFormat("log", key_regex=r"blk_(\d+)"), again)
    found = grouped(reader.records([line.encode() for line in [*LOG, "no block here", "odd blk_3 thing"]]))
    assert len(found) == 30
    assert found[3].events == [*templates.texts, NO_TEMPLATE]
    assert reader.trouble.count == 1 and "there is no blk_" in reader.trouble.told()


def test_log_lines_by_bytes_hold_every_byte_and_end_somewhere():
    ((record, *_),) = [make_parser(InputFormat("log", symbols="bytes")).read(b"\xff\x00a" + b"b" * 5000, 1)]
    assert record.event == "\u00ef"  # of U+FFFD in UTF-8, as Latin-1
    events = make_parser(InputFormat("log", symbols="bytes")).read(b"x" * 5000, 1)
    assert len(events) == 1000 and events[-1].last and not events[0].last


def test_files_may_be_compressed_marked_unended_or_endless(tmp_path):
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(b"\xef\xbb\xbfone\r\n\r\n" + b"x" * (LONGEST_LINE + 5) + b"\nlast")
    packed.write_bytes(gzip.compress(b"two\n"))
    lines = list(lines_of([plain, packed]))
    assert [text_of(line)[:5] for line in lines] == ["one", "", "xxxxx", "last", "two"]
    assert len(lines[2]) == LONGEST_LINE
    packed.write_bytes(gzip.compress(b"two\n" * 1000)[:-30])
    with pytest.raises(CorpusError, match="cannot read"):
        list(lines_of([packed]))


def test_times_are_seconds_milliseconds_or_iso():
    assert parse_time("1700000000") == parse_time("1700000000000") == parse_time("2023-11-14T22:13:20Z")
    with pytest.raises(ValueError, match="expected a time"):
        parse_time("nan")


def test_a_source_is_told_by_its_options_and_its_name():
    assert detect_format(["a.gz"], log=False, columns=False) == "sequences"
    assert detect_format(["a.jsonl.gz"], log=False, columns=True) == "jsonl"
    assert detect_format(["a.csv"], log=False, columns=True) == "csv"
    with pytest.raises(InputError, match="no columns"):
        detect_format(["a"], log=True, columns=True)
    with pytest.raises(InputError, match="regular expression"):
        InputFormat("log", key_regex="(")
    source = InputFormat("csv", key="k", event=("a", "b"))
    assert InputFormat.from_json(source.to_json()) == source
