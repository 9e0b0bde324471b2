"""`onward watch ok --state` of what was flagged, and of what was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
STRANGE = ["stop", "start", "stop", "stop"]


@pytest.fixture
def state(onward: Command, watching: Path, tmp_path: Path) -> Path:
    """Of a watch in which two sequences are in flight: one has raised an alarm, one has not."""
    records = [{"key": "odd", "event": event} for event in STRANGE]
    records += [{"key": "usual", "event": event} for event in ("start", "read")]
    log = tmp_path / "new.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    how = ["--state", tmp_path / "watch.db", "--false-alarms", "20%"]
    assert onward("watch", "run", watching, log, *how).code == 3
    return tmp_path / "watch.db"


def test_of_a_sequence_in_flight_no_end_is_learned_and_what_is_said_twice_changes_nothing(
    onward: Command, watching: Path, state: Path, tmp_path: Path
) -> None:
    new, again = tmp_path / "new.onward", tmp_path / "again.onward"
    ran = onward("watch", "ok", watching, "--key", "odd", "--state", state, "-o", new)
    assert ran.code == 0, ran.err
    assert "not that it ends there" in ran.err
    ran = onward("watch", "ok", new, "--key", "odd", "--state", state, "-o", again)
    assert ran.code == 0
    assert "nothing has changed" in ran.err
    assert again.read_bytes() == new.read_bytes()
    ran = onward("watch", "ok", new, "--key", "odd", "--state", state, "-o", again, "--json")
    assert (ran.json["repeated"], ran.json["steps"]) == (True, 0)


def test_what_was_not_flagged_is_refused(
    onward: Command, watching: Path, state: Path, tmp_path: Path
) -> None:
    for key, told in (("usual", "the one in flight has raised no alarm"), ("nobody", "was flagged in")):
        ran = onward("watch", "ok", watching, "--key", key, "--state", state, "-o", tmp_path / "new.onward")
        assert ran.code == 2
        assert told in ran.err and "hint: give the key that an alarm names" in ran.err
    assert not (tmp_path / "new.onward").exists()
