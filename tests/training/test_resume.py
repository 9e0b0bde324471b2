"""A run that was stopped goes on, and ends with the same bytes as one that was not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.training.killing import KilledError, stop

from onward.data.encoded import EncodedCorpus
from onward.errors import ArtefactError, RecipeError
from onward.outputs import checkpoint_path
from onward.training import train as trains
from onward.training.events import Event, NothingToResume
from onward.training.plan import Budget
from onward.training.recipe import Recipe
from onward.training.train import train_model

Small = Callable[..., Recipe]


def test_a_run_killed_while_it_draws_its_curves_can_be_resumed(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"

    def killed(*arguments: object, **options: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(trains, "draw_curves", killed)
        train_model(corpus, small(), Budget(steps=4), output=output)
    whole = output.read_bytes()
    train_model(corpus, small(), Budget(steps=4), output=output, resume=True)
    assert output.read_bytes() == whole
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.curves.png", "m.log.jsonl", "m.onward"]


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_a_stopped_run_ends_with_the_same_bytes(
    layer: str, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    recipe, budget = (
        small(layer=layer, dropout=0.2, noise=0.1, precision="bf16"),
        Budget(steps=30),
    )
    alone, stopped = tmp_path / "alone.onward", tmp_path / "stopped.onward"
    train_model(corpus, recipe, budget, output=alone)
    stop(corpus, recipe, budget, stopped, 19)
    torch.rand(3)
    result = train_model(corpus, recipe, budget, output=stopped, resume=True)
    assert result.steps == 30
    assert stopped.read_bytes() == alone.read_bytes()
    assert not checkpoint_path(stopped).exists()


def test_without_a_checkpoint_it_begins_anew(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    events = list[Event]()
    output = tmp_path / "m.onward"
    result = train_model(corpus, small(), Budget(steps=4), output=output, resume=True, observer=events.append)
    assert events[0] == NothingToResume(str(checkpoint_path(output)))
    assert result.steps == 4


def test_minutes_that_were_not_yet_counted_in_steps_are_resumed_as_minutes(
    corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    stop(corpus, small(), Budget(minutes=0.1), output, 2)
    with pytest.raises(RecipeError, match=r"has 0.1 minutes, not 500 steps"):
        train_model(corpus, small(), Budget(steps=500), output=output, resume=True)
    assert train_model(corpus, small(), Budget(minutes=0.1), output=output, resume=True).steps > 3


def test_a_damaged_checkpoint_is_refused(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    stop(corpus, small(), Budget(steps=20), output, 3)
    path = checkpoint_path(output)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="not a whole checkpoint") as error:
        train_model(corpus, small(), Budget(steps=20), output=output, resume=True)
    assert "begin anew" in error.value.hint
