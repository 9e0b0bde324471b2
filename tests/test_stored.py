"""Problems of stored values are one line that names the field, whatever the values are."""

import pytest
from pydantic import ValidationError

from onward.errors import ArtefactError, RecipeError
from onward.stored import StoredModel, describe, refusing_damage


class Example(StoredModel):
    rate: float
    names: list[str]


def refusal(data: object) -> str:
    with pytest.raises(ArtefactError) as refused, refusing_damage("the example", "make it again"):
        Example.model_validate(data)
    assert refused.value.hint == "make it again"
    return str(refused.value)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rate": 1.0}, "the example is damaged: names: Field required, found nothing"),
        ({"rate": "1", "names": []}, "rate: Input should be a valid number, found '1'"),
        ({"rate": float("nan"), "names": []}, "rate: Input should be a finite number, found nan"),
        ({"rate": 1.0, "names": ["a", 2]}, "names.1: Input should be a valid string, found 2"),
        ({"rate": 1.0, "names": [], "\x1b[2J": 0}, r"\x1b[2J: Extra inputs are not permitted, found 0"),
        ([], "the example is damaged: Input should be a valid dictionary or instance of Example, found []"),
    ],
)
def test_a_problem_names_the_field_and_the_value(data: object, message: str) -> None:
    assert message in refusal(data)


@pytest.mark.parametrize("value", ["x" * 10**6, "\x1b]0;t\x07" * 1000, nested(800), [0] * 10**5, 10**4000])
def test_a_message_is_short_and_printable_whatever_the_value_is(value: object) -> None:
    message = refusal({"rate": value, "names": []})
    assert len(message) < 400
    assert message.isprintable()


def test_errors_of_other_checks_are_described_too() -> None:
    for error, message in (
        (ValueError("bad\x1b"), r"bad\x1b"),
        (RecipeError("no recipe"), "no recipe"),
        (RecursionError(), "nested too deeply"),
    ):
        assert message in describe(error)
    with pytest.raises(ValidationError):
        Example.model_validate({"rate": 10**400, "names": []})
