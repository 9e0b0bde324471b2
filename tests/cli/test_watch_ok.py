"""`onward watch ok --state`, as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
UNUSUAL = ["stop", "start", "stop", "stop"]


@pytest.fixture
def state(onward: Command, watching: Path, tmp_path: Path) -> Path:
    """The state of a watch with two open sequences; only the first one has raised an alarm."""
    records = [{"key": "odd", "event": event} for event in UNUSUAL]
    records += [{"key": "usual", "event": event} for event in ("start", "read")]
    log = tmp_path / "new.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    how = ["--state", tmp_path / "watch.db", "--false-alarms", "20%"]
    assert onward("watch", "run", watching, log, *how).code == 3
    return tmp_path / "watch.db"


def test_only_the_prefix_of_an_open_sequence_is_learned(
    onward: Command, watching: Path, state: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "ok", watching, "--key", "odd", "--state", state, "-o", tmp_path / "new.onward")
    assert ran.code == 0, ran.err
    assert "the sequence is still open: only its prefix was learned" in ran.err


def test_a_sequence_that_is_marked_twice_is_learned_once(
    onward: Command, watching: Path, state: Path, tmp_path: Path
) -> None:
    new, again = tmp_path / "new.onward", tmp_path / "again.onward"
    assert onward("watch", "ok", watching, "--key", "odd", "--state", state, "-o", new).code == 0
    ran = onward("watch", "ok", new, "--key", "odd", "--state", state, "-o", again)
    assert ran.code == 0
    assert "already marked as normal; nothing changed" in ran.err
    assert again.read_bytes() == new.read_bytes()
    ran = onward("watch", "ok", new, "--key", "odd", "--state", state, "-o", again, "--json")
    assert ran.json["repeated"]


@pytest.mark.parametrize("extra", [[], ["log.jsonl", "--state", "watch.db"]])
def test_either_a_source_or_a_state_is_needed(extra: list[str], onward: Command, watching: Path) -> None:
    ran = onward("watch", "ok", watching, *extra, "--key", "odd")
    assert ran.code == 2
    assert "expected either SOURCE or --state" in ran.err


@pytest.mark.parametrize(("key", "message"), [("usual", "but no alarm"), ("nobody", "was flagged in")])
def test_a_sequence_that_was_not_flagged_is_refused(
    key: str, message: str, onward: Command, watching: Path, state: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "ok", watching, "--key", key, "--state", state, "-o", tmp_path / "new.onward")
    assert ran.code == 2
    assert message in ran.err
    assert "hint: give the key of an alarm" in ran.err
    assert not (tmp_path / "new.onward").exists()
