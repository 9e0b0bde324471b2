"""Checks before a run: memory, the size of the vocabulary, and whether a checkpoint is of the same run."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from onward.artefact import LONGEST_HEADER
from onward.data.vocabulary import Vocabulary
from onward.errors import ArtefactError, RecipeError, VocabularyError
from onward.model import LanguageModel
from onward.training.checkpoint import Checkpoint, take
from onward.training.recipe import Recipe

FEWEST_BYTES = 24
"""For each parameter, in float32: itself, its gradient, its momentum, the last good moment of both, and the
best value so far. What steps need besides depends on lanes and block."""

_GIB = 1 << 30
_REMEDY = "choose a smaller --width or fewer --layers, else fewer --lanes or a smaller --set block"
_REFUSALS = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


def refuse_beyond_memory(recipe: Recipe, symbols: int, device: torch.device) -> None:
    """Refuses a model that this machine, or its GPU, could not train if it had nothing else to do.

    Args:
        recipe: of the run.
        symbols: V, the size of the vocabulary.
        device: that it would be trained on.

    Raises:
        RecipeError: with its parameters, what they need at least, and what there is.
    """
    count, there = _parameters(recipe, symbols), _bytes_of(device)
    if FEWEST_BYTES * count > there:
        needed = (
            f"to train {count:,} parameters takes at least {FEWEST_BYTES * count / _GIB:,.1f} GiB of memory"
        )
        raise RecipeError(f"{needed}, {_place(device)} has {there / _GIB:,.1f}", hint=_REMEDY)


@contextmanager
def memory_is_needed(recipe: Recipe, symbols: int, device: torch.device) -> Iterator[None]:
    """Turns what PyTorch and NumPy say when the system refuses memory into the same error.

    Raises:
        RecipeError: as `refuse_beyond_memory`.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _refusal(recipe, symbols, device) from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _REFUSALS):
            raise
        raise _refusal(recipe, symbols, device) from error


def _refusal(recipe: Recipe, symbols: int, device: torch.device) -> RecipeError:
    """What is said where the system refused."""
    count = _parameters(recipe, symbols)
    needed = f"to train {count:,} parameters takes at least {FEWEST_BYTES * count / _GIB:,.1f} GiB"
    steps = f"steps of {recipe.lanes:,} lanes and {recipe.block:,} symbols take more"
    return RecipeError(f"the memory of {_place(device)} ran out: {needed}, and {steps}", hint=_REMEDY)


def _parameters(recipe: Recipe, symbols: int) -> int:
    """Of the model, which is not built for it."""
    with torch.device("meta"):
        return LanguageModel(recipe.model_config(symbols)).parameter_count()


def _bytes_of(device: torch.device) -> int:
    """All memory of a device, used or not."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _place(device: torch.device) -> str:
    """What the memory is part of."""
    return "the GPU" if device.type == "cuda" else "this machine"


_ALL_ELSE = 1 << 20
"""Bytes of a header that are left to all but the vocabulary."""


def check_room(vocabulary: Vocabulary) -> None:
    """Refuses a vocabulary with which `artefact.save` would refuse the model in the end.

    Raises:
        VocabularyError: with the bytes that it takes, and those that there are.
    """
    size, room = len(json.dumps(json.dumps(vocabulary.to_json()))), LONGEST_HEADER - _ALL_ELSE
    if size > room:
        found = f"{len(vocabulary)} symbols that take {size}"
        raise VocabularyError(
            f"a model file has room for a vocabulary of {room} bytes, got {found}",
            hint="leave out what is rare, with a higher min_count, or learn characters or bytes",
        )


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
