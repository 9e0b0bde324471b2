"""`onward.train`: fresh and resumed runs, and the files that they replace or keep."""

import random
from pathlib import Path
from typing import Any

import pytest

import onward
from onward.allocator import keep_freed_memory
from onward.data.corpus import find_sources
from onward.data.vocabulary import END
from onward.errors import ArtefactError, BusyError, InputError, RecipeError
from onward.outputs import output_lock
from onward.training import checkpointer
from onward.training.events import Planned, SettingsChosen, Stepped, Validated, Worsened


class StoppedError(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the state goes on where the lane ended. " * 100)
    return path


def stop_run(text: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
    """Ends a run after its third step, which leaves a checkpoint."""

    def stop(event: object) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(checkpointer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        with pytest.raises(StoppedError):
            onward.train(text, output=output, observer=stop, **how)


BEGUN: dict[str, Any] = {"recipe": "lstm", "width": 20, "lanes": 4, "block": 16, "precision": "fp32"}


@pytest.mark.parametrize("budget", [{"steps": 8}, {"epochs": 1.0}, {"minutes": 0.05}], ids=str)
def test_a_resumed_run_keeps_its_budget_recipe_and_hyperparameters(
    budget: dict[str, Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"
    stop_run(text, output, monkeypatch, **BEGUN, **budget)
    model = onward.train(text, output=output, resume=True)
    recipe = model.info()["recipe"]
    assert (recipe["name"], recipe["width"], recipe["lanes"]) == ("lstm", 20, 4)
    if "minutes" not in budget:
        whole = onward.train(text, output=tmp_path / "whole.onward", **BEGUN, **budget)
        assert (tmp_path / "whole.onward").read_bytes() == output.read_bytes()
        assert whole.info()["facts"]["steps"] == model.info()["facts"]["steps"]


def test_a_resumed_run_may_name_its_recipe_again(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "m.onward"
    stop_run(text, output, monkeypatch, **BEGUN, steps=8)
    assert onward.train(text, output=output, recipe="lstm", resume=True).info()["recipe"]["width"] == 20


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        ({"recipe": "gru"}, ArtefactError, "has name 'lstm', not 'gru'"),
        ({"width": 24}, ArtefactError, "has width 20, not 24"),
        ({"steps": 9}, RecipeError, "was started with 8 steps, not 9 steps"),
    ],
)
def test_a_resumed_run_refuses_other_settings(
    other: dict[str, Any],
    error: type[Exception],
    message: str,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "m.onward"
    stop_run(text, output, monkeypatch, **BEGUN, steps=8)
    with pytest.raises(error, match=message):
        onward.train(text, output=output, resume=True, **other)


def test_resume_does_not_replace_a_finished_model(text: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    onward.train(text, output=output, recipe="tiny", steps=2)
    before = output.read_bytes()
    with pytest.raises(InputError, match="is a finished model"):
        onward.train(text, output=output, recipe="tiny", steps=2, resume=True)
    assert output.read_bytes() == before


@pytest.mark.parametrize("name", ["text.txt", "other.txt", "link.txt"])
def test_a_model_never_replaces_a_text(name: str, text: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("mine")
    (tmp_path / "link.txt").symlink_to(text)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match=r"is a source|is not an onward model"):
        onward.train(text, output=tmp_path / name, recipe="tiny", steps=2)
    assert (tmp_path / name).read_bytes() == before
    assert not [*tmp_path.glob("*.log.jsonl"), *tmp_path.glob("*.lock")]


def test_a_corpus_that_was_found_before_is_trained_on(text: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "a.onward", tmp_path / "b.onward"]
    for source, output in zip((text, find_sources([text])), outputs, strict=True):
        onward.train(source, output=output, recipe="tiny", steps=2, precision="fp32")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_a_busy_output_is_refused_before_the_text_is_encoded(text: Path, tmp_path: Path) -> None:
    events: list[object] = []
    with output_lock(tmp_path / "m.onward"), pytest.raises(BusyError):
        onward.train(text, output=tmp_path / "m.onward", recipe="tiny", steps=1, observer=events.append)
    assert events == []


def test_a_library_call_leaves_malloc_unchanged(text: Path) -> None:
    keep_freed_memory.cache_clear()
    onward.train(text, recipe="tiny", steps=1)
    assert keep_freed_memory.cache_info().misses == 0


def test_a_budget_is_checked_before_the_text_is_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="steps must be"):
        onward.train(tmp_path / "nowhere.txt", steps=-3)


def test_only_a_model_of_several_texts_writes_an_end(text: Path, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    one = onward.train(text, recipe="tiny", steps=1)
    several = onward.train(text, tmp_path / "b.txt", recipe="tiny", steps=1)
    for model, ends in ((one, False), (several, True)):
        model.model.readout.bias.data[END] = 100.0
        assert (model.write(length=5) == "") is ends
    assert several.write(length=5, ignore_end=True)


def test_the_folder_of_a_text_does_not_change_its_model(text: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "text.txt"
    copy.write_bytes(text.read_bytes())
    outputs = [tmp_path / "a.onward", tmp_path / "b.onward"]
    for source, output in zip((text, copy), outputs, strict=True):
        onward.train(source, output=output, recipe="tiny", steps=2, precision="fp32")
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_a_fresh_run_discards_the_checkpoint_of_another(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run killed before its own first checkpoint must not resume from another run's."""
    output = tmp_path / "m.onward"
    stop_run(text, output, monkeypatch, **BEGUN, steps=8, seed=1)

    def stop(event: object) -> None:
        if isinstance(event, Stepped):
            raise StoppedError

    with pytest.raises(StoppedError):
        onward.train(text, output=output, observer=stop, **BEGUN, steps=8, seed=2)
    assert onward.train(text, output=output, resume=True).info()["recipe"]["seed"] == 2


def test_a_timed_run_on_a_short_text_ends_after_the_passes_that_help(text: Path) -> None:
    events: list[object] = []
    model = onward.train(text, minutes=1.0, base="none", width=16, precision="fp32", observer=events.append)
    (chosen,) = (event for event in events if isinstance(event, SettingsChosen))
    (planned,) = (event for event in events if isinstance(event, Planned))
    facts = model.info()["facts"]
    assert chosen.passes is not None
    assert chosen.passes - 0.5 < facts["epochs"] < chosen.passes + 0.5
    assert facts["steps"] == planned.steps


def test_a_run_with_a_budget_in_epochs_has_no_limit_of_passes(text: Path) -> None:
    events: list[object] = []
    model = onward.train(text, epochs=3.0, base="none", width=16, precision="fp32", observer=events.append)
    (chosen,) = (event for event in events if isinstance(event, SettingsChosen))
    assert chosen.passes is None
    assert model.info()["facts"]["epochs"] == pytest.approx(3.0, abs=0.5)


@pytest.mark.slow
def test_a_timed_run_ends_when_its_checks_get_worse(tmp_path: Path) -> None:
    noise = tmp_path / "noise.txt"
    noise.write_text("".join(random.Random(0).choices("abcdefgh", k=8_000)))
    events: list[object] = []
    model = onward.train(
        noise,
        output=tmp_path / "m.onward",
        recipe="tiny",
        minutes=0.5,
        precision="fp32",
        observer=events.append,
    )
    (worsened,) = (event for event in events if isinstance(event, Worsened))
    checks = [event for event in events if isinstance(event, Validated)]
    assert [check.best for check in checks[-3:]] == [False] * 3
    assert checks[-1].nats_per_symbol > min(check.nats_per_symbol for check in checks) + 0.05
    facts = model.info()["facts"]
    assert (facts["steps"], facts["best_step"]) == (worsened.step, worsened.best_step)
    again = onward.train(noise, recipe="tiny", steps=facts["schedule"], precision="fp32")
    assert again.info()["facts"]["best_step"] == worsened.best_step
