from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.errors import RecipeError
from onward.training.plan import (
    CHECKS,
    FEWEST_TIMED,
    SECONDS_BETWEEN_CHECKPOINTS,
    SECONDS_TO_CLOSE,
    TIMED_STEPS,
    Budget,
    Costs,
    is_check_due,
    is_read_often,
    is_time_to_fix,
    level_until,
    steps_that_fit,
)
from onward.training.validation import checked_symbols, reported_symbols

SMALL_COSTS = st.floats(1e-7, 1e-3)


@pytest.mark.parametrize(
    ("times", "symbols", "parameters", "dropout", "often"),
    [
        (8.0, 440_000, 2_400_000, 0.0, True),
        (8.0, 440_000, 2_400_000, 0.1, False),
        (3.0, 440_000, 2_400_000, 0.0, False),
        (8.0, 440_000, 100_000, 0.0, False),
    ],
)
def test_a_text_is_learned_by_heart_by_a_large_model_that_reads_it_often(
    times: float, symbols: int, parameters: int, dropout: float, often: bool
) -> None:
    assert is_read_often(times, symbols, parameters, dropout) is often


@given(
    step=st.integers(1, 40),
    seconds=st.floats(-5, 1e5),
    per_step=st.floats(1e-3, 10),
    checkpoint=st.floats(0, 5),
    checked=SMALL_COSTS,
    reported=SMALL_COSTS,
    tail=st.integers(0, 10**6),
)
def test_what_is_planned_fits(
    step: int, seconds: float, per_step: float, checkpoint: float, checked: float, reported: float, tail: int
) -> None:
    costs = Costs(per_step, checkpoint, checked, reported)
    steps = steps_that_fit(step=step, seconds=seconds, costs=costs, symbols_per_step=512.0, tail=tail)
    assert steps >= 2 * step
    if steps == 2 * step:
        return
    trained = steps * 512
    training = (steps - step) * per_step
    checks = CHECKS * checked_symbols(tail, trained) * checked
    closing = SECONDS_TO_CLOSE + checkpoint + reported_symbols(tail, trained) * reported
    total = training * (1 + checkpoint / SECONDS_BETWEEN_CHECKPOINTS) + checks + closing
    assert total <= 1.15 * seconds + per_step


def test_most_of_the_time_is_for_steps() -> None:
    costs = Costs(step=0.1, checkpoint=0.2, checked_symbol=2e-5, reported_symbol=4e-5)
    steps = steps_that_fit(step=40, seconds=300.0, costs=costs, symbols_per_step=2048.0, tail=60_000)
    assert 0.9 * 300 / 0.1 < steps < 300 / 0.1


@given(st.integers(1, 10**6), st.integers(0, 1000))
def test_checks_are_few_and_the_last_is_at_the_end(steps: int, warm_up: int) -> None:
    near = {0, 1, *(steps * i // CHECKS + j for i in range(CHECKS + 1) for j in (-1, 0, 1, 2))}
    due = {step for step in near if 1 <= step <= steps and is_check_due(step, steps, warm_up)}
    assert steps in due
    assert len(due) <= CHECKS
    assert min(due) >= level_until(warm_up, steps)


@given(st.integers(1, 200), st.integers(0, 10**4), st.integers(0, 1000))
def test_nothing_depends_on_a_number_of_steps_not_known_yet(step: int, more: int, warm_up: int) -> None:
    """Minutes are turned into steps after at most 50, and into twice those made at least."""
    step = min(step, TIMED_STEPS)
    steps = 2 * step + more
    assert level_until(warm_up, steps) >= step
    assert not any(is_check_due(early, steps, warm_up) for early in range(1, step) if early < steps // 2)


@pytest.mark.parametrize(
    ("step", "timed", "spent", "left", "due"),
    [
        (TIMED_STEPS, 30, 1.0, 100.0, True),
        (TIMED_STEPS - 1, 30, 1.0, 100.0, False),
        (10, 10, 30.0, 100.0, False),
        (10, 10, 34.0, 100.0, True),
        (10, 10, 0.1, -1.0, True),
        (FEWEST_TIMED - 1, FEWEST_TIMED - 1, 50.0, 1.0, False),
        (TIMED_STEPS, FEWEST_TIMED - 1, 1.0, 100.0, False),
    ],
)
def test_slow_models_are_timed_for_a_quarter_of_the_time(
    step: int, timed: int, spent: float, left: float, due: bool
) -> None:
    assert is_time_to_fix(step, timed, spent, left) is due


@pytest.mark.parametrize("given", [{}, {"minutes": 1.0, "steps": 5}, {"minutes": 1, "epochs": 1, "steps": 1}])
def test_exactly_one_is_asked_for(given: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="expected one of minutes, epochs and steps"):
        Budget(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("minutes", 0), ("minutes", float("inf")), ("epochs", -1.0), ("steps", 0), ("steps", True)],
)
def test_nothing_to_do_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be .* above zero, got {value!r}"):
        Budget(**{name: value})


def test_epochs_may_be_parts() -> None:
    assert Budget(epochs=0.5).epochs == 0.5
