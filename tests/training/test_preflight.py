"""What does not fit into memory is refused in one line, whether it is foreseen or not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.killing import stop

from onward import artefact as artefacts
from onward.artefact import Artefact, save
from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.vocabulary import Vocabulary
from onward.errors import ArtefactError, RecipeError, VocabularyError
from onward.model import LanguageModel, ModelConfig
from onward.outputs import checkpoint_path
from onward.training import preflight as room
from onward.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from onward.training.plan import Budget
from onward.training.preflight import check_room, memory_is_needed, refuse_beyond_memory
from onward.training.recipe import Recipe
from onward.training.train import train_model

Small = Callable[..., Recipe]
CPU = torch.device("cpu")


def _device_refuses() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_model_beyond_this_machine_is_refused_before_it_is_built(
    corpus: EncodedCorpus, small: Small
) -> None:
    with pytest.raises(RecipeError, match=r"\d{3},\d{3} parameters .* [\d.,]+ GiB .* has [\d.,]+") as caught:
        train_model(corpus, small(width=65_536), Budget(steps=1))
    assert "width" in caught.value.hint


def test_a_model_that_fits_is_not(small: Small) -> None:
    refuse_beyond_memory(small(), 20, CPU)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(1 << 60, dtype=torch.uint8),
        lambda: np.empty(1 << 60, dtype=np.uint8),
        _device_refuses,
    ],
    ids=["torch", "numpy", "device"],
)
def test_what_the_system_does_not_give_is_told_in_the_same_words(
    small: Small, ask: Callable[[], object]
) -> None:
    with pytest.raises(RecipeError, match=r"parameters .* GiB") as caught, memory_is_needed(small(), 20, CPU):
        ask()
    assert "lanes" in caught.value.hint


def test_other_errors_keep_their_own_words(small: Small) -> None:
    with pytest.raises(RuntimeError, match="a bug"), memory_is_needed(small(), 20, CPU):
        raise RuntimeError("a bug of ours")


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


Small = Callable[..., Recipe]


@pytest.mark.parametrize(
    ("changes", "steps", "message"),
    [
        ({"rate": 0.5}, 20, "has rate 0.006, not 0.5"),
        ({"seed": 9}, 20, "has seed 0, not 9"),
        ({}, 21, "has 20 steps, not 21"),
    ],
)
def test_another_run_is_not_resumed(
    changes: dict[str, float], steps: int, message: str, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    recipe, output = small(rate=0.006), tmp_path / "m.onward"
    stop(corpus, recipe, Budget(steps=20), output, 3)
    with pytest.raises((ArtefactError, RecipeError), match=message):
        train_model(
            corpus, small(**{"rate": 0.006} | changes), Budget(steps=steps), output=output, resume=True
        )
    assert checkpoint_path(output).exists()


def test_a_run_of_another_order_of_the_data_is_not_resumed(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"
    with monkeypatch.context() as patch:
        patch.setattr("onward.training.train._LANES", "fixed")
        stop(corpus, small(), Budget(steps=20), output, 3)
    with pytest.raises(ArtefactError, match="begun with fixed lanes"):
        train_model(corpus, small(), Budget(steps=20), output=output, resume=True)
    assert checkpoint_path(output).exists()


@pytest.mark.parametrize("budget", [Budget(minutes=5), Budget(epochs=3)])
def test_another_kind_of_budget_is_not_resumed(
    budget: Budget, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    stop(corpus, small(), Budget(steps=20), output, 3)
    with pytest.raises(RecipeError, match=r"has 20 steps, not (5 minutes|3 epochs)"):
        train_model(corpus, small(), budget, output=output, resume=True)


def test_another_corpus_is_not_resumed(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output, other = tmp_path / "m.onward", encode_text("another text " * 300, Encoding())
    stop(corpus, small(), Budget(steps=20), output, 3)
    with pytest.raises(ArtefactError) as error:
        train_model(other, small(), Budget(steps=20), output=output, resume=True)
    assert corpus.digest in str(error.value)
    assert other.digest in str(error.value)


@pytest.mark.parametrize("facts", [{"budget": {}}, {"budget": {"steps": 1, "minutes": 2}}, {"recipe": None}])
def test_a_checkpoint_that_says_what_no_run_says_is_refused(
    facts: dict[str, Any], corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    stop(corpus, small(), Budget(steps=20), output, 3)
    path = checkpoint_path(output)
    saved = load_checkpoint(path)
    save_checkpoint(Checkpoint(saved.tensors, saved.facts | facts), path)
    with pytest.raises((ArtefactError, RecipeError)):
        train_model(corpus, small(), Budget(steps=21), output=output, resume=True)


def test_a_run_begun_before_a_hyperparameter_was_known_goes_on(
    corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    alone, output = tmp_path / "alone.onward", tmp_path / "m.onward"
    train_model(corpus, small(), Budget(steps=20), output=alone)
    stop(corpus, small(), Budget(steps=20), output, 3)
    saved = load_checkpoint(checkpoint_path(output))
    recipe = {name: value for name, value in saved.facts["recipe"].items() if name != "noise"}
    save_checkpoint(Checkpoint(saved.tensors, saved.facts | {"recipe": recipe}), checkpoint_path(output))
    train_model(corpus, small(), Budget(steps=20), output=output, resume=True)
    assert output.read_bytes() == alone.read_bytes()
