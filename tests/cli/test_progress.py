"""The lines about the events of a run."""

from typing import Any

import pytest

from onward.cli.progress import FEWEST_TRAINING_SYMBOLS
from onward.cli.progress import describe as describe_lines
from onward.training.events import (
    CheckpointIgnored,
    CheckpointMissing,
    CorpusEncoded,
    Event,
    ManyEpochs,
    OutputExists,
    Sampled,
    Started,
    Validated,
)

STARTED: dict[str, Any] = {
    "recipe": "tiny", "parameters": 5, "validation_symbols": 0, "lanes": 1, "precision": "fp32", "step": 0,
}  # fmt: skip


def describe(event: Event) -> str:
    return "\n".join(describe_lines(event))


def test_invalid_bytes_are_reported_with_two_remedies() -> None:
    line = describe(CorpusEncoded(documents=1, source_bytes=9, skipped=0, replaced=1234))
    assert line.startswith("not valid UTF-8: 1,234 bytes replaced by the unknown symbol")
    assert "iconv -f LATIN1 -t UTF-8" in line
    assert "--symbols bytes" in line


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "\u202e", "\r", "\a", "\u2028"], ids=ascii)
def test_a_sample_cannot_move_the_cursor(hostile: str) -> None:
    assert hostile not in describe(Sampled(1, f"a{hostile}b"))


def test_numbers_and_their_nouns_agree() -> None:
    one = describe(Started(**STARTED, vocabulary=1, training_symbols=1))
    assert "1 different symbol," in one
    assert "1 symbol to train on" in one
    many = describe(Started(**STARTED, vocabulary=70, training_symbols=FEWEST_TRAINING_SYMBOLS))
    assert "70 different symbols, " in many
    assert "10,000 symbols to train on" in many


def test_a_short_text_is_reported() -> None:
    short = describe(Started(**STARTED, vocabulary=70, training_symbols=FEWEST_TRAINING_SYMBOLS - 1))
    assert "too short" in short
    enough = describe(Started(**STARTED, vocabulary=70, training_symbols=FEWEST_TRAINING_SYMBOLS))
    assert "too short" not in enough


def test_warnings_state_their_figures() -> None:
    assert "8.2 epochs planned" in describe(ManyEpochs(8.2))
    assert "--dropout" in describe(ManyEpochs(8.2))
    assert "a.onward is a finished model" in describe(OutputExists("a.onward"))
    assert "there is no checkpoint a" in describe(CheckpointMissing("a"))
    assert "--resume continues it" in describe(CheckpointIgnored("a"))
    assert "best so far" in describe(Validated(3, 1.0, True))
