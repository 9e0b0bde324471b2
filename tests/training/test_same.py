"""A run goes on only as what it was begun as."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.training.killing import stop

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.errors import ArtefactError, RecipeError
from onward.training.budget import Budget
from onward.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from onward.training.outputs import checkpoint_path
from onward.training.recipe import Recipe
from onward.training.train import train_model

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
