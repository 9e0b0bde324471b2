"""A stopped run is resumed and ends with the same bytes as an uninterrupted one; another run is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import Small
from tests.training.runs import KilledError, train, train_until

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.errors import ArtefactError, InputError, RecipeError
from onward.outputs import checkpoint_path
from onward.training import train as trains
from onward.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from onward.training.events import CheckpointIgnored, CheckpointMissing, OutputExists
from onward.training.plan import Budget
from onward.training.resume import start_run


def test_a_run_killed_while_it_plots_its_curves_can_be_resumed(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"

    def killed(*arguments: object, **options: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(trains, "draw_curves", killed)
        train(corpus, small(), Budget(steps=4), output=output)
    whole = output.read_bytes()
    train(corpus, small(), Budget(steps=4), output=output, resume=True)
    assert output.read_bytes() == whole
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.curves.png", "m.log.jsonl", "m.onward"]


@pytest.mark.parametrize(
    ("layer", "shards"), [("gated", 1), ("lstm", 1), ("gru", 1), ("simple", 1), ("gated", 4)]
)
def test_a_stopped_run_ends_with_the_same_bytes(
    layer: str, shards: int, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    recipe = small(layer=layer, dropout=0.2, noise=0.1, precision="bf16", shards=shards)
    budget = Budget(steps=30)
    alone, stopped = tmp_path / "alone.onward", tmp_path / "stopped.onward"
    train(corpus, recipe, budget, output=alone)
    train_until(corpus, recipe, budget, stopped, 19)
    torch.rand(3)
    result = train(corpus, recipe, budget, output=stopped, resume=True)
    assert result.steps == 30
    assert stopped.read_bytes() == alone.read_bytes()
    assert not checkpoint_path(stopped).exists()


def test_a_run_starts_fresh_or_from_its_checkpoint(
    corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    path = checkpoint_path(output)
    with start_run(output, resume=False) as start:
        assert (start.checkpoint, start.notices) == (None, ())
    with start_run(output, resume=True) as start:
        assert (start.checkpoint, start.notices) == (None, (CheckpointMissing(str(path)),))
    train_until(corpus, small(), Budget(steps=20), output, 3)
    with start_run(output, resume=False) as start:
        assert (start.checkpoint, start.notices) == (None, (CheckpointIgnored(str(path)),))
    with start_run(output, resume=True) as start:
        assert start.checkpoint
        assert start.checkpoint.facts["run"]["step"] == 3
        assert start.notices == ()


def test_a_finished_model_is_replaced_but_not_resumed(
    corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    train(corpus, small(), Budget(steps=4), output)
    with start_run(output, resume=False) as start:
        assert start.notices == (OutputExists(str(output)),)
    with pytest.raises(InputError, match="is a finished model"), start_run(output, resume=True):
        pass


@pytest.mark.slow
def test_minutes_without_a_plan_are_resumed_as_minutes(
    corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    train_until(corpus, small(), Budget(minutes=0.1), output, 2)
    with pytest.raises(RecipeError, match=r"was started with 0.1 minutes, not 500 steps"):
        train(corpus, small(), Budget(steps=500), output=output, resume=True)
    assert train(corpus, small(), Budget(minutes=0.1), output=output, resume=True).steps > 3


def test_a_damaged_checkpoint_is_refused(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    train_until(corpus, small(), Budget(steps=20), output, 3)
    path = checkpoint_path(output)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="not a complete checkpoint") as error:
        train(corpus, small(), Budget(steps=20), output=output, resume=True)
    assert "start again" in error.value.hint


@pytest.mark.parametrize(
    ("changes", "steps", "message"),
    [
        ({"rate": 0.5}, 20, "has rate 0.006, not 0.5"),
        ({"seed": 9}, 20, "has seed 0, not 9"),
        ({}, 21, "was started with 20 steps, not 21"),
    ],
)
def test_another_recipe_or_budget_is_refused(
    changes: dict[str, float], steps: int, message: str, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    recipe, output = small(rate=0.006), tmp_path / "m.onward"
    train_until(corpus, recipe, Budget(steps=20), output, 3)
    with pytest.raises((ArtefactError, RecipeError), match=message):
        train(corpus, small(**{"rate": 0.006} | changes), Budget(steps=steps), output=output, resume=True)
    assert checkpoint_path(output).exists()


@pytest.mark.parametrize(("was", "now"), [(4, 1), (1, 4), (4, 2)])
def test_another_number_of_shards_is_refused(
    was: int, now: int, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    train_until(corpus, small(shards=was), Budget(steps=20), output, 3)
    with pytest.raises(ArtefactError, match=f"has shards {was}, not {now}"):
        train(corpus, small(shards=now), Budget(steps=20), output=output, resume=True)


def test_another_order_of_the_data_is_refused(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"
    with monkeypatch.context() as patch:
        patch.setattr("onward.training.train.LANE_STARTS", "fixed")
        train_until(corpus, small(), Budget(steps=20), output, 3)
    with pytest.raises(ArtefactError, match="reads the text in another order"):
        train(corpus, small(), Budget(steps=20), output=output, resume=True)
    assert checkpoint_path(output).exists()


@pytest.mark.parametrize("budget", [Budget(minutes=5), Budget(epochs=3)])
def test_another_unit_of_the_budget_is_refused(
    budget: Budget, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    train_until(corpus, small(), Budget(steps=20), output, 3)
    with pytest.raises(RecipeError, match=r"was started with 20 steps, not (5 minutes|3 epochs)"):
        train(corpus, small(), budget, output=output, resume=True)


def test_another_corpus_is_refused(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output, other = tmp_path / "m.onward", encode_text("another text " * 300, Encoding())
    train_until(corpus, small(), Budget(steps=20), output, 3)
    with pytest.raises(ArtefactError) as error:
        train(other, small(), Budget(steps=20), output=output, resume=True)
    assert corpus.digest in str(error.value)
    assert other.digest in str(error.value)


@pytest.mark.parametrize("facts", [{"budget": {}}, {"budget": {"steps": 1, "minutes": 2}}, {"recipe": None}])
def test_a_checkpoint_with_wrong_facts_is_refused(
    facts: dict[str, Any], corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    train_until(corpus, small(), Budget(steps=20), output, 3)
    path = checkpoint_path(output)
    saved = load_checkpoint(path)
    save_checkpoint(Checkpoint(saved.tensors, saved.facts | facts), path)
    with pytest.raises((ArtefactError, RecipeError)):
        train(corpus, small(), Budget(steps=21), output=output, resume=True)


def test_a_checkpoint_without_a_new_hyperparameter_is_resumed(
    corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    alone, output = tmp_path / "alone.onward", tmp_path / "m.onward"
    train(corpus, small(), Budget(steps=20), output=alone)
    train_until(corpus, small(), Budget(steps=20), output, 3)
    saved = load_checkpoint(checkpoint_path(output))
    recipe = {name: value for name, value in saved.facts["recipe"].items() if name != "noise"}
    save_checkpoint(Checkpoint(saved.tensors, saved.facts | {"recipe": recipe}), checkpoint_path(output))
    train(corpus, small(), Budget(steps=20), output=output, resume=True)
    assert output.read_bytes() == alone.read_bytes()
