import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.training.conftest import Limit

from onward.errors import WriteError
from onward.training.events import EpochStarted, Finished, Stepped, Validated
from onward.training.log import LINES, RunLog


def stepped(step: int, steps: int | None, nats: float = 1.0) -> Stepped:
    return Stepped(step, steps, nats, 0.5, step * 10, 100.0, None)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_steps_are_thinned_to_mean_losses(tmp_path: Path) -> None:
    log, steps = RunLog(tmp_path / "log", resumed=False), 10 * LINES
    for step in range(1, steps + 1):
        log(EpochStarted(step, step - 1))
        log(stepped(step, steps, float(step)))
    log.close()
    found = lines(tmp_path / "log")
    means = [line["nats_per_symbol"] for line in found if line["event"] == "stepped"]
    assert means == [10 * i + 5.5 for i in range(LINES)]
    assert sum(line["event"] == "epochstarted" for line in found) <= LINES + 1


def test_losses_are_logged_in_nats_and_bits(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log", resumed=False)
    log(Validated(3, math.log(2), True))
    log(Finished(3, 30, 1.5, None, 3, "3"))
    log.close()
    first, second = lines(tmp_path / "log")
    assert (first["event"], first["step"], first["best"]) == ("validated", 3, True)
    assert first["bits_per_symbol"] == pytest.approx(1.0)
    assert second["nats_per_symbol"] is None


def test_a_resumed_log_continues_after_the_last_complete_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"event": "first"}\n{"event": "hal')
    log = RunLog(path, resumed=True)
    log(stepped(1, 10))
    log.close()
    assert [line["event"] for line in lines(path)] == ["first", "stepped"]
    RunLog(path, resumed=False).close()
    assert lines(path) == []


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write"):
        RunLog(tmp_path / "none" / "log", resumed=False)


@pytest.mark.parametrize("room", [0, 1, 100, 250])
def test_a_full_disk_leaves_complete_lines(room: int, tmp_path: Path, small_files: Limit) -> None:
    log = RunLog(tmp_path / "log", resumed=False)
    log(Finished(3, 30, 1.5, None, 3, "3"))
    before = (tmp_path / "log").read_bytes()
    with small_files(len(before) + room), pytest.raises(WriteError, match=r"cannot write .*log"):
        log(stepped(1, 10))
        log(stepped(2, 10))
    assert lines(tmp_path / "log")[0]["event"] == "finished"
    assert (tmp_path / "log").read_bytes().endswith(b"}\n")


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    """In a folder that others may write to, the link may lead to a file that only this user may change."""
    secret, path = tmp_path / "secret", tmp_path / "log"
    secret.write_text("secret\n")
    path.symlink_to(secret)
    with pytest.raises(WriteError, match="got a link"):
        RunLog(path, resumed=True)
    RunLog(path, resumed=False).close()
    assert not path.is_symlink()
    assert secret.read_text() == "secret\n"
