"""`onward watch learn`, as a user runs it: every form of source, and wrong ones."""

import gzip
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import session
from tests.cli.terminal import Terminal

Command = Callable[..., Any]
FAST = ["--held-out", "50%", "--steps", "5"]
TENTH = ["--false-alarms", "10%"]
CHANCE = random.Random(1)
SESSIONS = [session(CHANCE) for _ in range(60)]
LINES = "".join(" ".join(events) + "\n" for events in SESSIONS)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """One sequence per line."""
    path = tmp_path / "normal.txt"
    path.write_text(LINES)
    return path


def test_the_summary_as_json(onward: Command, lines: Path, tmp_path: Path) -> None:
    ran = onward(
        "watch", "learn", lines, "-o", tmp_path / "a.onward", "--false-alarms", "10%", *FAST, "--json"
    )
    assert ran.code == 0, ran.err
    assert set(ran.json) == {
        "output", "sequences", "events", "distinct_events", "bits_per_event", "calibration_sequences",
        "folds", "in_order", "false_alarms", "false_alarms_interval", "smallest_false_alarms", "top_k",
        "threshold", "templates", "idle_seconds", "unreadable_lines", "seconds",
    }  # fmt: skip
    assert ran.json["sequences"] == 60
    assert ran.json["events"] == sum(map(len, SESSIONS))
    assert ran.json["distinct_events"] == 5
    assert ran.json["calibration_sequences"] == 15  # half of the half that is held out
    assert ran.json["false_alarms"] == 0.1
    assert ran.json["smallest_false_alarms"] == 0.063  # 1 / 16, rounded up
    assert (tmp_path / "a.onward").is_file()


def test_a_terminal_shows_a_bar_while_a_detector_is_learned(lines: Path, tmp_path: Path) -> None:
    steps = ["--held-out", "50%", "--steps", "200"]
    terminal = Terminal("watch", "learn", lines, "-o", tmp_path / "a.onward", *TENTH, *steps)
    try:
        terminal.wait(lambda t: re.search(r"learning .*\d%", t.text) is not None)
        code, _ = terminal.end()
    finally:
        terminal.close()
    assert code == 0
    assert "idle_seconds" in terminal.text
    assert "%" not in terminal.text.partition("output")[0]  # the bar is gone


def test_info_shows_the_events_of_a_detector(onward: Command, lines: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onward"
    learned = onward("watch", "learn", lines, "-o", path, *TENTH, *FAST, "--json").json
    found = onward("info", path, "--json").json["detector"]
    assert found["form"] == "sequences" and found["events"] == learned["events"]
    assert sorted(found["names"]) == ["read", "start", "stop", "sync", "write"]
    assert "false_alarms" in onward("info", path).out


def test_a_log_is_recognised_without_options(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "server.txt"
    path.write_text("".join(f"2026-01-01T00:00:{i:02} took {i}0 ms at 10.0.0.{i}\n" for i in range(60)))
    ran = onward("watch", "learn", path, "-o", tmp_path / "a.onward", *TENTH, *FAST, "--json")
    assert ran.code == 0
    assert ran.err.splitlines()[:3] == [
        "read as log lines: an event is the template of message; the time is in time",
        "each record is a sequence of its own: no column or word groups them",
        "--form, --log, --event, --key, --time, --key-regex and --measure correct this",
    ]
    assert (ran.json["sequences"], ran.json["templates"]) == (60, 1)


def test_records_without_events_are_refused(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    path.write_text("".join(f'{{"at": {i}, "took": {i}0}}\n' for i in range(60)))
    ran = onward("watch", "learn", path, "-o", tmp_path / "a.onward", *FAST)
    assert ran.code == 2
    assert "expected a column with events, found at, took" in ran.err and "--event NAME" in ran.err


def test_a_rate_that_is_too_low_for_the_calibration_causes_a_warning(
    onward: Command, lines: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "learn", lines, "-o", tmp_path / "a.onward", "--false-alarms", "1%", *FAST)
    assert ran.code == 0
    assert "distinct_events" in ran.out and "false_alarms_interval   0 to 0\n" in ran.out
    assert "15 calibration sequences are too few for a rate of 1.00%: nothing will be flagged" in ran.err
    assert "Use --false-alarms 6.3% or more" in ran.err


@pytest.mark.parametrize("form", ["crlf", "gz", "unended", "blank", "stdin"])
def test_line_ends_and_compression_make_no_difference(
    form: str, onward: Command, lines: Path, tmp_path: Path
) -> None:
    content = {
        "crlf": LINES.replace("\n", "\r\n").encode(),
        "gz": gzip.compress(LINES.encode()),
        "unended": LINES.removesuffix("\n").encode(),
        "blank": LINES.replace("\n", "\n\n").encode(),
        "stdin": LINES.encode(),
    }[form]
    other = tmp_path / "other.txt"
    other.write_bytes(content)
    source = "-" if form == "stdin" else other
    assert onward("watch", "learn", lines, "-o", tmp_path / "a.onward", *FAST).code == 0
    ran = onward("watch", "learn", source, "-o", tmp_path / "b.onward", *FAST, data=content)
    assert ran.code == 0, ran.err
    assert (tmp_path / "a.onward").read_bytes() == (tmp_path / "b.onward").read_bytes()


def test_invalid_bytes_and_a_very_long_line_can_be_read(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(LINES.encode() + b"start \xff\xfe stop\n" + b"x" * 3_000_000 + b"\n")
    ran = onward("watch", "learn", path, "-o", tmp_path / "a.onward", *FAST, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["sequences"] == 62


def test_binary_data_are_refused(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "random.bin"
    path.write_bytes(random.Random(1).randbytes(100_000))
    ran = onward("watch", "learn", path, "-o", tmp_path / "a.onward", *FAST)
    assert ran.code == 2
    assert "got binary data" in ran.err and "hint: " in ran.err
    assert not (tmp_path / "a.onward").exists()


def test_text_in_an_old_encoding_is_read(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "old.log"
    path.write_bytes("".join(f"{i} соединение закрыто\n" for i in range(60)).encode("koi8-r"))
    assert onward("watch", "learn", path, "-o", tmp_path / "a.onward", *FAST, *TENTH).code == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_columns_of_records_are_read(form: str, onward: Command, tmp_path: Path) -> None:
    path = tmp_path / f"audit.{form}"
    records = [(f"s{i}", event) for i, events in enumerate(SESSIONS) for event in events]
    random.Random(0).shuffle(records)
    if form == "csv":
        text = "who,what\n" + "".join(f"{key},{event}\n" for key, event in records) + "too,many,cells\n"
    else:
        text = "".join(json.dumps({"who": key, "what": event}) + "\n" for key, event in records) + "{\n"
    path.write_text(text)
    ran = onward(
        "watch",
        "learn",
        path,
        "-o",
        tmp_path / "a.onward",
        "--key",
        "who",
        "--event",
        "what",
        *FAST,
        "--json",
    )
    assert ran.code == 0, ran.err
    assert ran.json["sequences"] == 60
    assert ran.json["unreadable_lines"] == 1
    assert "1 line could not be read (line" in ran.err


@pytest.mark.parametrize("symbols", ["templates", "bytes"])
def test_raw_log_lines_become_templates_or_bytes(symbols: str, onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(
        "".join(f"took {i} ms for job_{i % 30}\nended job_{i % 30} in /tmp/{i}\n" for i in range(90))
    )
    how = ["--log", "--key-regex", r"job_\d+"] if symbols == "templates" else ["--log", "--symbols", "bytes"]
    ran = onward("watch", "learn", path, "-o", tmp_path / "a.onward", *how, *FAST, "--json")
    assert ran.code == 0, ran.err
    expected = (30, 2, 2) if symbols == "templates" else (180, 255, 0)
    assert (ran.json["sequences"], ran.json["distinct_events"], ran.json["templates"]) == expected


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        (None, [], "normal.csv"),
        (b"", [], "normal.csv"),
        (b"\r\n\n", [], "found none"),
        (b"who,what\na,b\n", ["--key", "session", "--event", "what"], "no column 'session'"),
        (b"who,what\na,b\n", ["--key", "who", "--event", "action"], "no column 'action'"),
        (b"who,what\na,b\n", ["--key", "who", "--event", "what"], "at least 10 normal sequences"),
        (b"a line\n", ["--log", "--event", "what"], "raw log lines have no columns"),
        (b"a line\n", ["--log", "--key-regex", "("], "expected a regular expression"),
        (b"a line\n", ["--log", "--key-regex", "blk"], "no match of blk"),
        (LINES.encode(), ["--false-alarms", "2"], "--false-alarms must be a share"),
        (LINES.encode(), ["--false-alarms", "few"], "--false-alarms must be a share"),
        (LINES.encode(), ["--folds", "1"], "folds must be a whole number from 2 to 100, got 1"),
    ],
)
def test_a_wrong_source_or_option_is_refused_and_leaves_no_file(
    content: bytes | None, how: list[str], message: str, onward: Command, tmp_path: Path
) -> None:
    path = tmp_path / "normal.csv"
    if content is not None:
        path.write_bytes(content)
    ran = onward("watch", "learn", path, "-o", tmp_path / "a.onward", *how)
    assert ran.code in (1, 2)
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == "" and not (tmp_path / "a.onward").exists()


def test_the_detector_is_named_after_the_source(
    onward: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.log").write_text("".join(f"{time} opened\n" for time in range(200)))
    assert onward("watch", "learn", "app.log", "--steps", "2").code == 0
    assert (tmp_path / "app.onward").is_file()
    refused = onward("watch", "learn", "-", "--steps", "2")
    assert refused.code == 2
    assert "name the model file with -o" in refused.err
