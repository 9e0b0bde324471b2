"""The format of a source is detected: its form, its columns, and what groups its records."""

from collections import Counter

import pytest
from tests.watch.input.logs import BEGAN, SESSIONS, lines_of

from onward.errors import InputError
from onward.watch.input.detection import FormatOptions, detect_format
from onward.watch.input.format import InputFormat
from onward.watch.input.parsers import make_parser, mine_templates
from onward.watch.input.records import KeyedSequence, group_by_key

NO_TIMES = {"windows", "iis", "python basic", "logback", "glog", "no header"}
"""Formats without a time, or whose time has no date or an ambiguous one."""


def read(
    lines: list[str], options: FormatOptions | None = None
) -> tuple[InputFormat, list[KeyedSequence], list[float | None]]:
    """Returns the detected format, the sequences in it, and the times of the records."""
    raw = [line.encode() for text in lines for line in text.split("\n")]
    found = detect_format(raw, options or FormatOptions())
    templates = mine_templates(found, raw) if found.has_templates else None
    parser = make_parser(InputFormat.from_json(found.to_json()), templates)
    records = list(parser.records(raw))
    assert not parser.unreadable.count, parser.unreadable.message()
    return found, group_by_key(records), [record.time for record in records]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("syslog", "log"), ("rfc5424", "log"), ("rfc5424 data", "log"), ("apache access", "log"),
        ("apache error", "log"), ("nginx error", "log"), ("json", "jsonl"), ("nested json", "jsonl"),
        ("journald", "jsonl"), ("zap", "jsonl"), ("logfmt", "logfmt"), ("csv", "csv"), ("windows", "csv"),
        ("iis", "csv"), ("cri", "log"), ("cri json", "jsonl"), ("docker", "log"), ("python", "log"),
        ("python basic", "log"), ("logback", "log"), ("glog", "log"), ("epoch", "log"), ("bars", "log"),
        ("no header", "log"),
    ],
)  # fmt: skip
def test_a_log_is_read_as_the_sessions_that_it_consists_of(name: str, form: str) -> None:
    found, sequences, times = read(lines_of(name))
    assert found.form == form
    assert len(sequences) == SESSIONS
    kinds = Counter(tuple(sequence.events) for sequence in sequences)
    assert sorted(kinds.values()) == [20, 40], kinds
    assert len({event for kind in kinds for event in kind}) == 4
    if name in NO_TIMES:
        assert set(times) == {None}
    else:
        assert times[0] == pytest.approx(BEGAN.timestamp(), abs=86400 * 366 if name == "syslog" else 1)


def test_a_key_may_have_two_forms() -> None:
    found, sequences, _ = read(lines_of("two keys"))
    assert len(sequences) == SESSIONS
    assert found.key_regex and "|" in found.key_regex


def test_words_that_recur_are_sequences_of_events() -> None:
    found, sequences, _ = read(["5 5 22 5 11 9 11 9", "5 22 5 5"] * 50)
    assert found == InputFormat()
    assert len(sequences) == 100


def test_stack_traces_belong_to_the_line_before_them() -> None:
    trace = "\njava.lang.Error: no\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException"
    lines = [
        f"2026-11-01 10:00:{i % 60:02} {'ERROR' if i % 5 else 'INFO'} done {i}{trace if i % 5 else ''}"
        for i in range(300)
    ]
    found, sequences, _ = read(lines)
    assert found.event == ("level", "message")
    assert len(sequences) == 300
    assert {sequence.events[0] for sequence in sequences} == {"ERROR done <*>", "INFO done <*>"}


def test_the_level_is_part_of_the_event_and_a_key_that_is_missing_makes_a_sequence() -> None:
    lines = lines_of("json")
    lines[5] = '{"time": "2026-11-01T10:00:05Z", "level": "error", "message": "Out of memory"}'
    _, sequences, _ = read(lines)
    (alone,) = [sequence for sequence in sequences if sequence.key == "6"]
    assert alone.events == ["error Out of memory"]


def test_options_correct_what_was_found() -> None:
    found, sequences, _ = read(lines_of("json"), FormatOptions(key="level", event=("trace", "message")))
    assert (found.key, found.event, found.text, found.time) == (
        "level",
        ("trace", "message"),
        ("message",),
        "time",
    )
    assert len(sequences) == 1
    found, sequences, _ = read(lines_of("syslog"), FormatOptions(form="log", key="source"))
    assert len(sequences) == 1 and sequences[0].key == "api"
    found, sequences, _ = read(lines_of("no header"), FormatOptions(key_regex=r"for (job)"))
    assert len(sequences) == 1
    found, _, _ = read(lines_of("json"), FormatOptions(form="log", symbols="words"))
    assert found == InputFormat("log", symbols="words")
    with pytest.raises(InputError, match="no column 'no' among"):
        read(lines_of("json"), FormatOptions(key="no"))
    with pytest.raises(InputError, match="these log lines have the columns"):
        read(lines_of("syslog"), FormatOptions(form="log", key="no"))


def test_free_text_is_told_from_names() -> None:
    rows = [f"k{i // 3},{['open file', 'read it', 'close file'][i % 3]}" for i in range(90)]
    found, _, _ = read(["key,what", *rows], FormatOptions(event=("what",), key="key"))
    assert (found.form, found.text) == ("csv", ())


def test_what_was_found_is_said_in_three_lines_at_most() -> None:
    for name in ("syslog", "json", "cri", "no header", "apache access"):
        found, _, _ = read(lines_of(name))
        said = found.explain(is_detected=True)
        assert 2 <= len(said) <= 3
        assert "read as " in said[0] and "--key-regex" in said[-1]
