"""`onward watch explain`, as a user runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows

Command = Callable[..., Any]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two sessions; the second one is unusual."""
    path = tmp_path / "new.jsonl"
    path.write_text(rows([["start", "read", "read", "sync", "stop"], ["start", "sync", "read", "stop"]]))
    return path


def test_the_explanation_as_json(onward: Command, watching: Path, source: Path) -> None:
    ran = onward("watch", "explain", watching, source, "--key", "s1", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == {"verdict", "rate", "top_k", "bits_per_event", "events", "lines", "excesses"}
    assert ran.json["verdict"]["key"] == "s1"
    assert ran.json["verdict"]["flagged"] is True
    assert ran.json["lines"] == [6, 7, 8, 9]
    assert [event["event"] for event in ran.json["events"]] == ["start", "sync", "read", "stop", "<end>"]
    for event in ran.json["events"]:
        assert set(event) == {"position", "event", "bits", "rank", "expected", "new"}
        shares = [other["probability"] for other in event["expected"]]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)
        assert (event["rank"] == 0) == (event["expected"][0]["event"] == event["event"])


def test_the_explanation_on_the_terminal(onward: Command, watching: Path, source: Path) -> None:
    ran = onward("watch", "explain", watching, "-", "--key", "s0", data=source.read_bytes())
    assert ran.code == 0
    assert ran.out.startswith("sequence s0, not flagged: p-value ")
    assert len(ran.out.splitlines()) == 3 + 6 + 2


def test_the_explanation_as_a_page(onward: Command, watching: Path, source: Path, tmp_path: Path) -> None:
    ran = onward("watch", "explain", watching, source, "--key", "s1", "--html", tmp_path / "s1.html")
    assert (ran.code, ran.out) == (0, "")
    assert "wrote" in ran.err
    page = (tmp_path / "s1.html").read_text(encoding="utf-8")
    assert "<h1>Sequence s1</h1>" in page
    assert page.count("<tr>") == 6


def test_with_a_state_the_detector_knows_what_the_watch_has_learned(
    onward: Command, watching: Path, tmp_path: Path
) -> None:
    stream, one, state = tmp_path / "stream.jsonl", tmp_path / "one.jsonl", tmp_path / "watch.db"
    frequent = ["start", "read", "write", "read", "sync", "stop"]
    one.write_text(rows([frequent]))
    for _ in range(2):  # the first run ends the sequences, the second one learns them
        with stream.open("a") as file:
            file.write(rows([frequent] * 300))
        assert onward("watch", "run", watching, stream, "--state", state, "--end").code == 0
    before = onward("watch", "explain", watching, one, "--key", "s0", "--json").json
    after = onward("watch", "explain", watching, one, "--key", "s0", "--state", state, "--json").json
    assert sum(event["bits"] for event in after["events"]) < sum(event["bits"] for event in before["events"])


def test_a_state_that_is_none_is_refused(
    onward: Command, watching: Path, source: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "explain", watching, source, "--key", "s1", "--state", tmp_path / "watch.db")
    assert ran.code == 2
    assert "expected a state file of a detector" in ran.err
    ran = onward("watch", "explain", watching, source, "--key", "s1", "--state", source)
    assert ran.code == 2
    assert "is not a state file of a detector" in ran.err


def test_a_folder_that_does_not_exist_is_refused(
    onward: Command, watching: Path, source: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "explain", watching, source, "--key", "s1", "--html", tmp_path / "no" / "s1.html")
    assert ran.code == 1
    assert "Traceback" not in ran.err


def test_a_missing_key_is_refused_with_some_of_the_keys(
    onward: Command, watching: Path, source: Path
) -> None:
    ran = onward("watch", "explain", watching, source, "--key", "s9")
    assert ran.code == 2
    assert "there is no sequence 's9'" in ran.err
    assert "s0, s1" in ran.err


def test_a_missing_file_is_refused(onward: Command, watching: Path, source: Path) -> None:
    ran = onward("watch", "explain", watching, source.with_name("none"), "--key", "s9")
    assert ran.code == 2
    assert "none" in ran.err


def test_a_file_that_is_not_a_detector_is_refused(onward: Command, source: Path) -> None:
    ran = onward("watch", "explain", source, source, "--key", "s9")
    assert ran.code == 2
    assert "is not a complete" in ran.err
