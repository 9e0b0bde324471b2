"""Memory that a run needs: what cannot fit is refused in one line, where possible before it is built."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from onward.errors import RecipeError
from onward.model import LanguageModel
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
