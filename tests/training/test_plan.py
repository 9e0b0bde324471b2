from typing import Any

import pytest

from onward.errors import RecipeError
from onward.training.plan import Budget, may_overfit


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


@pytest.mark.parametrize("given", [{}, {"minutes": 1.0, "steps": 5}, {"minutes": 1, "epochs": 1, "steps": 1}])
def test_a_budget_has_exactly_one_unit(given: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="one of minutes, epochs and steps, got"):
        Budget(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("minutes", 0), ("minutes", float("inf")), ("epochs", -1.0), ("steps", 0), ("steps", True)],
)
def test_an_empty_or_endless_budget_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be .* above 0.*, got {value!r}"):
        Budget(**{name: value})


def test_epochs_may_be_fractions() -> None:
    assert Budget(epochs=0.5).epochs == 0.5
