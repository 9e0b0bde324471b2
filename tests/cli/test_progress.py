"""What a person is told of a run, event by event."""

import pytest

from onward.cli.progress import FEWEST_TO_LEARN_FROM, describe
from onward.training.events import (
    CorpusEncoded,
    OverBudget,
    ReadOften,
    Replacing,
    Sampled,
    Started,
    Validated,
)

STARTED = {
    "recipe": "tiny", "parameters": 5, "validation_symbols": 0, "lanes": 1, "precision": "fp32", "step": 0,
}  # fmt: skip


def test_invalid_bytes_have_two_remedies() -> None:
    line = describe(CorpusEncoded(documents=1, source_bytes=9, skipped=0, replaced=1234))
    assert line.startswith("1,234 invalid bytes read as the unknown symbol")
    assert "iconv -f LATIN1 -t UTF-8" in line
    assert "--symbols bytes" in line


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "\u202e", "\r", "\a", "\u2028"], ids=ascii)
def test_a_sample_cannot_move_the_cursor(hostile: str) -> None:
    assert hostile not in describe(Sampled(1, f"a{hostile}b"))


def test_numbers_and_their_nouns_agree() -> None:
    one = describe(Started(**STARTED, vocabulary=1, training_symbols=1))
    assert "1 different symbol," in one
    assert "1 symbol to learn from" in one
    many = describe(Started(**STARTED, vocabulary=70, training_symbols=FEWEST_TO_LEARN_FROM))
    assert "70 different symbols, " in many
    assert "10,000 symbols to learn from" in many


def test_a_little_text_is_called_so() -> None:
    little = describe(Started(**STARTED, vocabulary=70, training_symbols=FEWEST_TO_LEARN_FROM - 1))
    assert "too little" in little
    enough = describe(Started(**STARTED, vocabulary=70, training_symbols=FEWEST_TO_LEARN_FROM))
    assert "too little" not in enough


def test_advice_and_warnings_have_their_figures() -> None:
    assert "read 8.2 times" in describe(ReadOften(8.2))
    assert "--dropout" in describe(ReadOften(8.2))
    assert "about 3:10 over the budget" in describe(OverBudget(190.0))
    assert "a.onward" in describe(Replacing("a.onward"))
    assert "best so far" in describe(Validated(3, 1.0, True))
