"""What is not given to a resumed run is what it was begun with."""

from pathlib import Path
from typing import Any

import pytest

import onward
from onward.errors import ArtefactError, RecipeError
from onward.training import loop
from onward.training.events import Stepped


class StoppedError(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the state goes on where the lane ended. " * 100)
    return path


def stopped(text: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
    """A run that ends after its third step, and leaves a checkpoint."""

    def stop(event: object) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        with pytest.raises(StoppedError):
            onward.train(text, output=output, observer=stop, **how)


BEGUN: dict[str, Any] = {"recipe": "lstm", "width": 20, "lanes": 4, "block": 16, "precision": "fp32"}


@pytest.mark.parametrize("budget", [{"steps": 8}, {"epochs": 1.0}, {"minutes": 0.05}], ids=str)
def test_budget_recipe_and_hyperparameters_are_those_it_was_begun_with(
    budget: dict[str, float], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"
    stopped(text, output, monkeypatch, **BEGUN, **budget)
    model = onward.train(text, output=output, resume=True)
    recipe = model.info()["recipe"]
    assert (recipe["name"], recipe["width"], recipe["lanes"]) == ("lstm", 20, 4)
    if "minutes" not in budget:
        whole = onward.train(text, output=tmp_path / "whole.onward", **BEGUN, **budget)
        assert (tmp_path / "whole.onward").read_bytes() == output.read_bytes()
        assert whole.info()["facts"]["steps"] == model.info()["facts"]["steps"]


def test_the_recipe_may_be_named_again_without_its_changes(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"
    stopped(text, output, monkeypatch, **BEGUN, steps=8)
    assert onward.train(text, output=output, recipe="lstm", resume=True).info()["recipe"]["width"] == 20


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        ({"recipe": "gru"}, ArtefactError, "has name 'lstm', not 'gru'"),
        ({"width": 24}, ArtefactError, "has width 20, not 24"),
        ({"steps": 9}, RecipeError, "has 8 steps, not 9 steps"),
    ],
)
def test_what_is_given_otherwise_is_refused(
    other: dict[str, Any],
    error: type[Exception],
    message: str,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "m.onward"
    stopped(text, output, monkeypatch, **BEGUN, steps=8)
    with pytest.raises(error, match=message):
        onward.train(text, output=output, resume=True, **other)
