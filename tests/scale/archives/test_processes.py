import os
import signal
import time
from pathlib import Path

import pytest

from onward.errors import CorpusError, InputError
from onward.scale.archives.engine import in_order, in_this_process
from onward.scale.archives.processes import Processes


def square(number: int) -> int:
    if number == 3:
        raise CorpusError("expected another number, got 3", hint="leave it out")
    return number * number


class DieOnce:
    """Squares a number, but the first process that gets 2 is killed before it is done."""

    def __init__(self, folder: Path) -> None:
        self._mark = folder / "died"

    def __call__(self, number: int) -> int:
        if number == 2 and not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (self._mark.parent / f"done {number}").open("a") as file:
            file.write("x")
        return number * number


def die_on_2(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die_of_a_real_time_signal(_number: int) -> None:
    os.kill(os.getpid(), 40)


def wait_for_first(number: int) -> int:
    time.sleep(0.5 if number == 0 else 0.0)
    return number


@pytest.mark.slow
def test_processes_do_what_one_process_does() -> None:
    """A wrong item has its error, and the others are done."""
    for engine in (in_this_process, Processes(2)):
        outcomes = [*in_order(engine(square, range(6)))]
        assert [outcome.number for outcome in outcomes] == [*range(6)]
        assert [outcome.result for outcome in outcomes] == [0, 1, 4, None, 16, 25]
        (error,) = [outcome.error for outcome in outcomes if outcome.error]
        assert isinstance(error, CorpusError)
        assert (str(error), error.hint) == ("expected another number, got 3", "leave it out")


@pytest.mark.slow
def test_the_item_of_a_killed_process_is_done_once_by_another(tmp_path: Path) -> None:
    outcomes = [*in_order(Processes(2)(DieOnce(tmp_path), range(5)))]
    assert [outcome.result for outcome in outcomes] == [0, 1, 4, 9, 16]
    assert [len((tmp_path / f"done {number}").read_text()) for number in range(5)] == [1] * 5


@pytest.mark.slow
def test_an_item_that_ends_each_process_is_an_error() -> None:
    outcomes = [*in_order(Processes(2)(die_on_2, range(4)))]
    assert [outcome.result for outcome in outcomes] == [0, 1, None, 9]
    assert "the worker that read 2 ended 3 times: signal SIGKILL" in str(outcomes[2].error)


@pytest.mark.slow
def test_a_signal_without_a_name_is_a_number() -> None:
    (outcome,) = Processes(1)(die_of_a_real_time_signal, range(1))
    assert "signal 40" in str(outcome.error)


@pytest.mark.slow
def test_outcomes_come_as_soon_as_they_are_known() -> None:
    found = [outcome.number for outcome in Processes(2)(wait_for_first, range(4))]
    assert sorted(found) == [0, 1, 2, 3]
    assert found != [0, 1, 2, 3]


@pytest.mark.slow
def test_processes_end_with_the_iteration() -> None:
    outcomes = Processes(2)(square, range(100))
    next(outcomes)
    children = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    assert len(Path(children).read_text().split()) >= 2
    before = set(Path(children).read_text().split())
    outcomes.close()  # type: ignore[attr-defined]
    after = set(Path(children).read_text().split())
    assert len(before - after) == 2


def test_no_worker_is_refused() -> None:
    with pytest.raises(InputError, match="expected 1 worker or more, got 0"):
        Processes(0)
