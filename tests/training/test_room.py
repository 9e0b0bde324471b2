from collections.abc import Callable
from pathlib import Path

import pytest

from onward import artefact as artefacts
from onward.artefact import Artefact, save
from onward.data.encoded import Encoding, encode_text
from onward.data.vocabulary import Vocabulary
from onward.errors import VocabularyError
from onward.model import LanguageModel, ModelConfig
from onward.training import room
from onward.training.budget import Budget
from onward.training.recipe import Recipe
from onward.training.room import check_room
from onward.training.train import train_model

LARGE = Vocabulary("words", (f"{letter}{number}" for letter in "aéя" for number in range(500)))


def test_what_it_lets_through_can_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(ModelConfig(symbols=len(LARGE), width=2, layers=1, tied=True))
    save(Artefact(model, LARGE), tmp_path / "m")
    taken = int.from_bytes((tmp_path / "m").read_bytes()[:8], "little")
    monkeypatch.setattr(room, "_ALL_ELSE", 1400)  # what this header has besides is a little more
    for module in (artefacts, room):
        monkeypatch.setattr(module, "LONGEST_HEADER", taken)
    check_room(LARGE)
    save(Artefact(model, LARGE), tmp_path / "m")
    monkeypatch.setattr(room, "LONGEST_HEADER", taken - 200)
    with pytest.raises(VocabularyError, match="1504 symbols that take") as caught:
        check_room(LARGE)
    assert "min_count" in caught.value.hint


def test_nothing_is_trained_that_could_not_be_saved(
    small: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = encode_text("as many words as there are " * 40, Encoding("words"))
    monkeypatch.setattr(room, "LONGEST_HEADER", room._ALL_ELSE)
    with pytest.raises(VocabularyError, match="a model file has room"):
        train_model(corpus, small(symbols="words"), Budget(steps=1), output=tmp_path / "m.onward")
    assert list(tmp_path.iterdir()) == []
    assert train_model(corpus, small(symbols="words"), Budget(steps=1)).steps == 1  # nothing is written
