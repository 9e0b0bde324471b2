"""What a run that is resumed, or begun anew, takes from what was there before, and what it leaves alone."""

from pathlib import Path
from typing import Any

import pytest

import onward
from onward.data.vocabulary import END
from onward.errors import ArtefactError, InputError, RecipeError
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


def test_a_run_that_ended_is_not_begun_anew_by_resume(text: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    onward.train(text, output=output, recipe="tiny", steps=2)
    before = output.read_bytes()
    with pytest.raises(InputError, match="is a finished model"):
        onward.train(text, output=output, recipe="tiny", steps=2, resume=True)
    assert output.read_bytes() == before


@pytest.mark.parametrize("name", ["text.txt", "other.txt", "link.txt"])
def test_no_text_is_replaced_by_a_model(name: str, text: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("mine")
    (tmp_path / "link.txt").symlink_to(text)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match=r"is a source|is no model"):
        onward.train(text, output=tmp_path / name, recipe="tiny", steps=2)
    assert (tmp_path / name).read_bytes() == before
    assert not [*tmp_path.glob("*.log.jsonl"), *tmp_path.glob("*.lock")]


def test_a_budget_is_checked_before_the_text_is_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="steps must be"):
        onward.train(tmp_path / "nowhere.txt", steps=-3)


def test_a_model_of_one_text_never_ends_it_and_one_of_several_may(text: Path, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    one = onward.train(text, recipe="tiny", steps=1)
    several = onward.train(text, tmp_path / "b.txt", recipe="tiny", steps=1)
    for model, ends in ((one, False), (several, True)):
        model.model.readout.bias.data[END] = 100.0
        assert (model.write(length=5) == "") is ends
    assert several.write(length=5, ignore_end=True)


def test_where_a_text_lies_is_no_part_of_its_model(text: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "text.txt"
    copy.write_bytes(text.read_bytes())
    outputs = [tmp_path / "a.onward", tmp_path / "b.onward"]
    for source, output in zip((text, copy), outputs, strict=True):
        onward.train(source, output=output, recipe="tiny", steps=2, precision="fp32")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_a_run_begun_anew_forgets_the_one_before(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its own first checkpoint, it must not be resumed from that of another."""
    output = tmp_path / "m.onward"
    stopped(text, output, monkeypatch, **BEGUN, steps=8, seed=1)

    def stop(event: object) -> None:
        if isinstance(event, Stepped):
            raise StoppedError

    with pytest.raises(StoppedError):
        onward.train(text, output=output, observer=stop, **BEGUN, steps=8, seed=2)
    assert onward.train(text, output=output, resume=True).info()["recipe"]["seed"] == 2
