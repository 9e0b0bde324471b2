"""The progress of a run by its steps, and how the clock changes it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.errors import RecipeError
from onward.training.clock import SECONDS_TO_EXIT, RunClock
from onward.training.plan import CHECKS, is_check_due
from onward.training.schedule import Schedule

CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 300)), max_size=4)


def schedule_of(first: int, steps: int, changes: list[tuple[float, int]]) -> Schedule:
    """Returns a schedule with several plans.

    Args:
        first: the step of the first plan.
        steps: steps from there to the end.
        changes: for each later plan, where it starts, as a share of the plan before, and its steps.
    """
    schedule, step, end = Schedule().revised(first, first + steps), first, first + steps
    for share, left in changes:
        if end - step < 2:
            break
        step += 1 + int(share * (end - step - 2))
        end = step + left
        schedule = schedule.revised(step, end)
    return schedule


@given(st.integers(0, 5), st.integers(1, 300), CHANGES)
def test_the_progress_grows_from_0_to_1(first: int, steps: int, changes: list[tuple[float, int]]) -> None:
    schedule = schedule_of(first, steps, changes)
    assert schedule.steps is not None
    shares = [schedule.progress(step) for step in range(schedule.steps + 1)]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


@given(st.integers(0, 5), st.integers(1, 300), CHANGES)
def test_a_schedule_is_read_back_from_its_text(
    first: int, steps: int, changes: list[tuple[float, int]]
) -> None:
    schedule = schedule_of(first, steps, changes)
    assert Schedule.parse(str(schedule)) == schedule


def test_the_progress_is_even_within_a_plan() -> None:
    schedule = Schedule.parse("2:12,7:17")
    assert [round(schedule.progress(step), 3) for step in (0, 2, 3, 7, 12, 16, 17)] == [
        0.0, 0.0, 0.1, 0.5, 0.75, 0.95, 1.0,
    ]  # fmt: skip
    assert Schedule.of(10) == Schedule.parse("10")
    assert str(Schedule.of(10)) == "10"


@pytest.mark.parametrize(
    "text", ["", "x", "0", "-3", "5:3", "3:9,2:8", "3:9,9:12,9:14", "3:9,10:12", "1:2:3"]
)
def test_a_text_that_is_not_a_schedule_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="expected") as error:
        Schedule.parse(text)
    assert "for instance 2000" in error.value.hint


@given(st.integers(1, 10**6))
def test_there_are_few_checks_and_one_at_the_end(steps: int) -> None:
    near = {1, *(steps * i // CHECKS + j for i in range(CHECKS + 1) for j in (-1, 0, 1, 2))}
    due = [step for step in sorted(near) if 1 <= step <= steps and is_check_due(Schedule.of(steps), step)]
    assert due[-1] == steps
    assert len(due) <= CHECKS


class Machine:
    """A machine whose speed changes: it pretends that steps take as long as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def run(self, seconds: float, *speeds: tuple[float, float]) -> tuple[Schedule, float]:
        """Runs until the schedule ends; `speeds` are pairs of a time and the duration of a step from then on.

        Returns:
            The schedule, and how long the run took, with the work after its last step.
        """
        started, closing, step, schedule = self.now, 0.5, 0, Schedule()
        clock = RunClock(started + seconds)
        while schedule.steps is None or step < schedule.steps:
            passed = self.now - started
            per_step = [duration for begins, duration in speeds if begins <= passed][-1]
            self.now += per_step
            step += 1
            clock.record(per_step)
            schedule = clock.revise(schedule, step, closing)
        return schedule, self.now + closing + SECONDS_TO_EXIT - started


@pytest.mark.parametrize(
    "speeds",
    [
        [(0, 0.1)],
        [(0, 0.5), (20, 0.1)],
        [(0, 0.1), (20, 0.7)],
        [(0, 0.1), (20, 0.6), (30, 0.1), (40, 1.0), (45, 0.1)],
        [(0, 0.1), (57, 1.0)],
        [(0, 2.0)],
    ],
)
def test_a_run_takes_its_minutes_at_any_speed(
    speeds: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule, seconds = Machine(monkeypatch).run(60.0, *speeds)
    assert 0.95 * 60 <= seconds <= 1.05 * 60
    assert len(schedule.plans) < 30


def test_the_progress_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps before the machine slowed down took a third of the time, so they are a third of the progress."""
    schedule, _ = Machine(monkeypatch).run(60.0, (0, 0.1), (20, 0.8))
    assert schedule.progress(200) == pytest.approx(20 / 58, abs=0.02)


def test_a_steady_machine_needs_one_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, _ = Machine(monkeypatch).run(60.0, (0, 0.1))
    assert len(schedule.plans) == 1


def test_a_budget_that_is_already_used_up_ends_the_run_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, _ = Machine(monkeypatch).run(0.1, (0, 5.0))
    assert schedule.steps == 1
