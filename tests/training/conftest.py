"""A small corpus and a small model, on which a step takes milliseconds."""

import random
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import pytest
import torch

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.lanes import Lanes
from onward.model import LanguageModel
from onward.training.recipe import Recipe, find_recipe
from onward.training.trainer import Trainer

SMALL = {
    "width": 12,
    "layers": 2,
    "lanes": 4,
    "block": 16,
    "warm_up": 3,
    "validation": 0.1,
    "precision": "fp32",
}


Limit: TypeAlias = Callable[[int], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def corpus() -> EncodedCorpus:
    """About 4,000 symbols of words that come again and again."""
    chance = random.Random(7)
    words = ["state", "is", "a", "value", "and", "lanes", "go", "on", "where", "they", "ended"]
    text = " ".join(chance.choice(words) for _ in range(850))
    return encode_text(text + "!", Encoding(), name="words")


@pytest.fixture
def small() -> Callable[..., Recipe]:
    """A recipe for that corpus, with some values changed."""
    return lambda name="default", **changes: find_recipe(name, SMALL | changes)


@pytest.fixture
def make_trainer(corpus: EncodedCorpus) -> Callable[[Recipe], Trainer]:
    """A trainer over the whole corpus; those of one recipe are alike."""

    def make(recipe: Recipe, **lanes: Any) -> Trainer:
        torch.manual_seed(recipe.seed)
        over = Lanes(corpus.ids, lanes=recipe.lanes, steps=recipe.block, seed=recipe.seed, **lanes)
        model = LanguageModel(recipe.model_config(len(corpus.vocabulary))).train()
        return Trainer(model, over, recipe, precision=recipe.precision)

    return make


@pytest.fixture
def small_files() -> Limit:
    """Within the context no file of this process grows beyond so many bytes, as on a disk that is full."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
