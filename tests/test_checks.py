from dataclasses import FrozenInstanceError, asdict, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import pytest
from pydantic import Field, model_validator

from onward.checks import Hint, checked_dataclass
from onward.errors import InputError, RecipeError


@checked_dataclass(RecipeError, kw_only=True)
class Settings:
    lanes: Annotated[int, Field(ge=1, le=64)] = 8
    rate: Annotated[float, Field(gt=0)] = 0.5
    share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    decay: Literal["linear", "cosine", "none"] = "linear"
    lower: bool = False
    top_k: Annotated[int, Field(ge=1), Hint("leave it out to keep all symbols")] | None = None
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _check_lanes_are_even(self) -> Self:
        if self.lower and self.lanes % 2:
            raise RecipeError("lower needs an even number of lanes", hint="add a lane")
        return self


@checked_dataclass()
class Outer:
    name: str
    settings: Settings = Settings()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lanes": 0}, "lanes must be a whole number from 1 to 64, got 0"),
        ({"lanes": 65}, "lanes must be a whole number from 1 to 64, got 65"),
        ({"lanes": True}, "lanes must be a whole number from 1 to 64, got True"),
        ({"lanes": 3.0}, "lanes must be a whole number from 1 to 64, got 3.0"),
        ({"lanes": "3"}, "lanes must be a whole number from 1 to 64, got '3'"),
        ({"rate": 0}, "rate must be a number above 0, got 0"),
        ({"rate": False}, "rate must be a number above 0, got False"),
        ({"rate": float("nan")}, "rate must be a number above 0, got nan"),
        ({"rate": float("inf")}, "rate must be a number above 0, got inf"),
        ({"share": 1.0}, "share must be a number from 0 to below 1, got 1.0"),
        ({"decay": "steep"}, "decay must be linear, cosine or none, got 'steep'"),
        ({"lower": 1}, "lower must be true or false, got 1"),
        ({"names": "a"}, "names must be a tuple, got 'a'"),
        ({"names": ("a", "")}, "names[1] must be text of one character or more, got ''"),
    ],
)
def test_a_refused_value_is_reported_with_what_the_field_allows(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Settings(**values)
    assert str(caught.value) == message
    assert caught.value.hint == ""


def test_an_optional_field_may_carry_a_hint() -> None:
    with pytest.raises(RecipeError) as caught:
        Settings(top_k=0)
    assert str(caught.value) == "top_k must be a whole number of 1 or more, got 0"
    assert caught.value.hint == "leave it out to keep all symbols"


def test_a_rule_about_several_fields_raises_its_own_error() -> None:
    with pytest.raises(RecipeError, match="lower needs an even number of lanes") as caught:
        Settings(lower=True, lanes=3)
    assert caught.value.hint == "add a lane"


def test_numbers_become_those_of_the_field() -> None:
    given: dict[str, Any] = {"rate": 1, "lanes": np.int64(4), "share": np.float32(0.5)}
    settings = Settings(**given)
    assert [type(value) for value in asdict(settings).values()][:3] == [int, float, float]
    assert (settings.lanes, settings.rate, settings.share) == (4, 1.0, 0.5)


def test_values_are_frozen_compared_and_checked_when_replaced() -> None:
    settings = Settings(lanes=2)
    assert settings == replace(Settings(), lanes=2)
    with pytest.raises(FrozenInstanceError):
        setattr(settings, "lanes", 3)  # noqa: B010 - a type checker refuses the plain assignment
    with pytest.raises(RecipeError, match="lanes must be"):
        replace(settings, lanes=0)


def test_a_configuration_may_contain_another() -> None:
    assert Outer("a", Settings(lanes=2)).settings.lanes == 2
    given: tuple[Any, ...] = ("a", 3)
    with pytest.raises(InputError, match="settings must be a Settings, got 3"):
        Outer(*given)


@pytest.mark.parametrize(
    ("cls", "positional", "named"),
    [(Outer, (), {}), (Outer, ("a",), {"other": 1}), (Outer, ("a",), {"name": "b"}), (Settings, (3,), {})],
)
def test_a_call_that_does_not_fit_the_signature_is_a_type_error(
    cls: Any, positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        cls(*positional, **named)
