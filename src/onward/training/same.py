"""Whether a run that is asked for is the one that a checkpoint is of."""

from pathlib import Path
from typing import Any

from onward.errors import ArtefactError, RecipeError
from onward.training.checkpoint import Checkpoint, take
from onward.training.recipe import Recipe


def check_same(path: Path, checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
    """Refuses to go on with another corpus, another recipe, or another budget.

    Args:
        path: of the checkpoint.
        checkpoint: of the run that was begun.
        facts: of the run that is asked for: `recipe`, `corpus`, `budget`, `lanes`.

    Raises:
        ArtefactError: another corpus or recipe, or lanes of an earlier version.
        RecipeError: another budget.
    """
    recipe = facts["recipe"]
    found = Recipe().to_json() | take(checkpoint.facts, "recipe", dict)  # as it was before a name was known
    changed = [(name, found.get(name), value) for name, value in recipe.items() if found.get(name) != value]
    if checkpoint.facts.get("corpus") != facts["corpus"]:
        changed.append(("a corpus with sha256", checkpoint.facts.get("corpus"), facts["corpus"]))
    order = checkpoint.facts.get("lanes", "fixed")  # as they were before checkpoints told of them
    if order != facts["lanes"]:
        raise ArtefactError(
            f"the run in {path} was begun with {order} lanes, by another version of onward",
            hint="begin anew, without --resume",
        )
    for name, was, value in changed[:1]:
        raise ArtefactError(
            f"the run in {path} has {name} {was!r}, not {value!r}",
            hint="resume with what it was begun with, or begin anew without --resume",
        )
    begun, asked = take(checkpoint.facts, "budget", dict), facts["budget"]
    fixed = {"steps": take(checkpoint.facts, "run", dict).get("steps")}
    if asked not in (begun, fixed):
        was, now = (", ".join(f"{size} {unit}" for unit, size in said.items()) for said in (begun, asked))
        raise RecipeError(f"the run in {path} has {was}, not {now}", hint="resume without a budget")
