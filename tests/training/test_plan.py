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
    is_time_to_plan,
    level_until,
    may_overfit,
    steps_that_fit,
)
from onward.training.validation import checked_symbols, reported_symbols

SMALL_COSTS = st.floats(1e-7, 1e-3)


@pytest.mark.parametrize(
    ("epochs", "symbols", "parameters", "dropout", "expected"),
    [
        (8.0, 440_000, 2_400_000, 0.0, True),
        (8.0, 440_000, 2_400_000, 0.1, False),
        (3.0, 440_000, 2_400_000, 0.0, False),
        (8.0, 440_000, 100_000, 0.0, False),
    ],
)
def test_a_large_model_without_dropout_may_overfit_in_many_epochs(
    epochs: float, symbols: int, parameters: int, dropout: float, expected: bool
) -> None:
    assert may_overfit(epochs, symbols, parameters, dropout) is expected


@given(
    step=st.integers(1, 40),
    seconds=st.floats(-5, 1e5),
    per_step=st.floats(1e-3, 10),
    checkpoint=st.floats(0, 5),
    checked=SMALL_COSTS,
    reported=SMALL_COSTS,
    held_out=st.integers(0, 10**6),
)
def test_planned_steps_fit_the_time(
    step: int,
    seconds: float,
    per_step: float,
    checkpoint: float,
    checked: float,
    reported: float,
    held_out: int,
) -> None:
    costs = Costs(per_step, checkpoint, checked, reported)
    steps = steps_that_fit(step=step, seconds=seconds, costs=costs, symbols_per_step=512.0, held_out=held_out)
    assert steps >= 2 * step
    if steps == 2 * step:
        return
    trained = steps * 512
    training = (steps - step) * per_step
    checks = CHECKS * checked_symbols(held_out, trained) * checked
    closing = SECONDS_TO_CLOSE + checkpoint + reported_symbols(held_out, trained) * reported
    total = training * (1 + checkpoint / SECONDS_BETWEEN_CHECKPOINTS) + checks + closing
    assert total <= 1.15 * seconds + per_step


def test_steps_take_most_of_the_time() -> None:
    costs = Costs(step=0.1, checkpoint=0.2, checked_symbol=2e-5, reported_symbol=4e-5)
    steps = steps_that_fit(step=40, seconds=300.0, costs=costs, symbols_per_step=2048.0, held_out=60_000)
    assert 0.9 * 300 / 0.1 < steps < 300 / 0.1


@given(st.integers(1, 10**6), st.integers(0, 1000))
def test_there_are_few_checks_and_one_at_the_end(steps: int, warm_up: int) -> None:
    near = {0, 1, *(steps * i // CHECKS + j for i in range(CHECKS + 1) for j in (-1, 0, 1, 2))}
    due = {step for step in near if 1 <= step <= steps and is_check_due(step, steps, warm_up)}
    assert steps in due
    assert len(due) <= CHECKS
    assert min(due) >= level_until(warm_up, steps)


@given(st.integers(1, 200), st.integers(0, 10**4), st.integers(0, 1000))
def test_steps_before_the_plan_do_not_depend_on_it(step: int, more: int, warm_up: int) -> None:
    """Minutes are turned into steps after at most 40 steps, and into at least twice as many."""
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
def test_slow_models_are_planned_after_a_quarter_of_the_time(
    step: int, timed: int, spent: float, left: float, due: bool
) -> None:
    assert is_time_to_plan(step, timed, spent, left) is due


@pytest.mark.parametrize("given", [{}, {"minutes": 1.0, "steps": 5}, {"minutes": 1, "epochs": 1, "steps": 1}])
def test_a_budget_has_exactly_one_unit(given: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="one of minutes, epochs and steps, got"):
        Budget(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("minutes", 0), ("minutes", float("inf")), ("epochs", -1.0), ("steps", 0), ("steps", True)],
)
def test_an_empty_or_endless_budget_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be .* above 0, got {value!r}"):
        Budget(**{name: value})


def test_epochs_may_be_fractions() -> None:
    assert Budget(epochs=0.5).epochs == 0.5
