"""How a run starts: from the beginning, or from the checkpoint of a run that was stopped."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from onward.artefact import weights_of
from onward.errors import ArtefactError, InputError, RecipeError
from onward.model import LanguageModel, ModelConfig
from onward.outputs import checkpoint_path, output_lock
from onward.printable import shown, shown_value
from onward.stored import StoredModel, refusing_damage
from onward.training.checkpoint import (
    START_AGAIN,
    Checkpoint,
    check_tensors,
    group_of,
    load_checkpoint,
    take,
)
from onward.training.events import CheckpointIgnored, CheckpointMissing, Event, OutputExists
from onward.training.plan import Budget
from onward.training.recipe import Recipe, find_recipe


@dataclass(frozen=True)
class RunStart:
    """The output of a run, and where the run starts.

    Attributes:
        output: the model file, locked for this run; None writes nothing.
        checkpoint: the checkpoint to resume from; None starts from the beginning.
        notices: events for the user about the files that were found.
    """

    output: Path | None = None
    checkpoint: Checkpoint | None = None
    notices: tuple[Event, ...] = ()


@contextmanager
def start_run(output: Path | None, *, resume: bool) -> Iterator[RunStart]:
    """Locks the output for the duration of the block, and decides how the run starts.

    Args:
        output: the model file; None writes nothing.
        resume: whether to resume from the checkpoint beside the output, if there is one.

    Raises:
        BusyError: another run writes to the output.
        InputError: the output is a folder, or a finished model that cannot be resumed.
        ArtefactError: the checkpoint is damaged.
        WriteError: the output's folder does not exist or is not writable.
    """
    if output is None:
        yield RunStart()
        return
    with output_lock(output):
        yield _decide(output, resume=resume)


def _decide(output: Path, *, resume: bool) -> RunStart:
    path = checkpoint_path(output)
    checkpoint = load_checkpoint(path) if resume and path.exists() else None
    if resume and not checkpoint and output.exists():
        raise InputError(
            f"there is no checkpoint {path}, and {output} is a finished model",
            hint="leave out --resume to train it again, or name another output",
        )
    notices: list[Event] = []
    if output.is_file():
        notices.append(OutputExists(str(output)))
    if resume and not checkpoint:
        notices.append(CheckpointMissing(str(path)))
    if not resume and path.exists():
        notices.append(CheckpointIgnored(str(path)))
    return RunStart(output, checkpoint, tuple(notices))


def resumed_recipe(checkpoint: Checkpoint, name: str | None, overrides: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of a run to resume.

    It is the recipe in the checkpoint, unless the user names another one. `check_same_run` then refuses any
    difference.

    Args:
        checkpoint: the checkpoint of the run.
        name: the recipe that the user named, if any.
        overrides: the hyperparameters that the user gave.
    """
    begun = take(checkpoint.facts, "recipe", dict)
    if name not in (None, begun.get("name")):
        return find_recipe(name or "default", overrides)
    values = {key: value for key, value in begun.items() if key != "name"}
    with refusing_damage("the recipe in the checkpoint", START_AGAIN):
        find_recipe(str(begun.get("name")), values)
    return find_recipe(str(begun.get("name")), values | dict(overrides))


def resumed_budget(checkpoint: Checkpoint, started: float | None) -> Budget:
    """Returns the budget of a run to resume."""
    with refusing_damage("the budget in the checkpoint", START_AGAIN):
        given = _Budget.model_validate(take(checkpoint.facts, "budget", dict))
        return Budget(given.minutes, given.epochs, given.steps, started)


class _Budget(StoredModel):
    """What `Budget.to_json` returns."""

    minutes: float | None = None
    epochs: float | None = None
    steps: str | None = None


def check_same_run(path: Path, checkpoint: Checkpoint, facts: Mapping[str, Any]) -> None:
    """Refuses to resume a run with another corpus, recipe or budget.

    Args:
        path: the checkpoint file.
        checkpoint: the checkpoint of the run to resume.
        facts: `recipe`, `corpus`, `budget`, `base` and `lanes` of this run.

    Raises:
        ArtefactError: the corpus or the recipe differs, or the lanes are those of another version.
        RecipeError: the budget differs.
    """
    defaults = asdict(Recipe())  # for hyperparameters that are newer than the checkpoint, or left out
    clearest = {"name": facts["recipe"]["name"]}
    recipe = clearest | defaults | facts["recipe"]
    found = defaults | take(checkpoint.facts, "recipe", dict)
    changed = [(name, found.get(name), value) for name, value in recipe.items() if found.get(name) != value]
    if checkpoint.facts.get("corpus") != facts["corpus"]:
        changed.append(("a corpus with sha256", checkpoint.facts.get("corpus"), facts["corpus"]))
    if checkpoint.facts.get("base") != facts.get("base"):
        changed.append(("a base with sha256", checkpoint.facts.get("base"), facts.get("base")))
    if checkpoint.facts.get("lanes") != facts["lanes"]:
        raise ArtefactError(
            f"the run in {path} is of another version of onward, which reads the text in another order",
            hint=START_AGAIN,
        )
    for name, was, value in changed[:1]:
        raise ArtefactError(
            f"the run in {path} has {name} {shown_value(was)}, not {value!r}",
            hint=f"resume with the settings that it was started with, or {START_AGAIN}",
        )
    begun, asked = take(checkpoint.facts, "budget", dict), facts["budget"]
    planned = {"steps": take(checkpoint.facts, "run", dict).get("schedule")}
    if asked not in (begun, planned):
        was, now = (", ".join(_amount(*one) for one in budget.items()) for budget in (begun, asked))
        raise RecipeError(
            f"the run in {path} was started with {was}, not {now}",
            hint="leave out --minutes, --epochs and --steps to resume",
        )


def check_model_size(checkpoint: Checkpoint, config: ModelConfig) -> None:
    """Refuses a checkpoint whose weights are not those of a model, before memory is allocated for the model.

    Raises:
        ArtefactError: the names, shapes or types differ.
    """
    weights = group_of("run/weights", checkpoint.tensors)
    if config.layers > len(weights):  # checked first, because building thousands of layers takes a long time
        raise ArtefactError(
            f"expected {config.layers} layers in the checkpoint, got {len(weights)} tensors", hint=START_AGAIN
        )
    with torch.device("meta"):
        check_tensors(weights, weights_of(LanguageModel(config)))


def _amount(unit: str, size: object) -> str:
    return f"{size:g} {unit}" if isinstance(size, float) else shown(f"{size} {unit}")
