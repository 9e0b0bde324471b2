"""Checks before a run: the memory, and the size of the vocabulary."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from onward.artefact import LONGEST_HEADER
from onward.data.vocabulary import Vocabulary
from onward.errors import RecipeError, VocabularyError
from onward.model import LanguageModel
from onward.training.recipe import Recipe

FEWEST_BYTES = 24
"""Minimum number of bytes for each parameter, all in float32: its value, gradient and momentum, the last good
snapshot of value and momentum, and its best value. Steps need more, depending on lanes and block."""

OTHER_HEADER_BYTES = 1 << 20
"""Bytes of a model file's header that are reserved for everything except the vocabulary."""

_GIB = 1 << 30
_REMEDY = "choose a smaller --width or fewer --layers, else fewer --lanes or a smaller --set block"
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


def check_memory(recipe: Recipe, symbols: int, device: torch.device) -> None:
    """Refuses a model that needs more memory to train than the machine, or its GPU, has in total.

    Args:
        recipe: the recipe of the run.
        symbols: V, the size of the vocabulary.
        device: the device to train on.

    Raises:
        RecipeError: the message states the parameters, the memory that they need, and that of the device.
    """
    count, available = _parameters(recipe, symbols), _bytes_of(device)
    if FEWEST_BYTES * count > available:
        raise RecipeError(
            f"{_needed(count)} of memory, {_place(device)} has {available / _GIB:,.1f} GiB", hint=_REMEDY
        )


@contextmanager
def explain_memory_errors(recipe: Recipe, symbols: int, device: torch.device) -> Iterator[None]:
    """Turns the out-of-memory errors of PyTorch and NumPy into a RecipeError.

    Raises:
        RecipeError: memory ran out in the block.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(recipe, symbols, device) from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _OUT_OF_MEMORY):
            raise
        raise _out_of_memory(recipe, symbols, device) from error


def check_vocabulary_size(vocabulary: Vocabulary) -> None:
    """Refuses a vocabulary that is too large for a model file, before training instead of after it.

    Raises:
        VocabularyError: the message states the size of the vocabulary and the maximum size.
    """
    size, limit = len(json.dumps(json.dumps(vocabulary.to_json()))), LONGEST_HEADER - OTHER_HEADER_BYTES
    if size > limit:
        found = f"{size} bytes for {len(vocabulary)} symbols"
        raise VocabularyError(
            f"a model file holds a vocabulary of at most {limit} bytes, got {found}",
            hint="leave out rare symbols with a higher --min-count (min_count in Python), or use characters "
            "or bytes as symbols",
        )


def _out_of_memory(recipe: Recipe, symbols: int, device: torch.device) -> RecipeError:
    needed = _needed(_parameters(recipe, symbols))
    steps = f"a step of {recipe.lanes:,} lanes and {recipe.block:,} symbols needs more"
    return RecipeError(f"{_place(device)} ran out of memory: {needed}, and {steps}", hint=_REMEDY)


def _needed(parameters: int) -> str:
    return f"training {parameters:,} parameters needs at least {FEWEST_BYTES * parameters / _GIB:,.1f} GiB"


def _parameters(recipe: Recipe, symbols: int) -> int:
    """Returns the model's number of parameters without allocating them."""
    with torch.device("meta"):
        return LanguageModel(recipe.model_config(symbols)).parameter_count()


def _bytes_of(device: torch.device) -> int:
    """Returns the total memory of a device, used or not."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _place(device: torch.device) -> str:
    return "the GPU" if device.type == "cuda" else "this machine"
