from typing import Any

import pytest

from onward.errors import RecipeError
from onward.training.budget import Budget


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
