"""A small corpus and a small model, with steps that take milliseconds."""

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

Small: TypeAlias = Callable[..., Recipe]
MakeTrainer: TypeAlias = Callable[[Recipe], Trainer]
Limit: TypeAlias = Callable[[int], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def corpus() -> EncodedCorpus:
    """About 4,000 symbols of repeated words."""
    chance = random.Random(7)
    words = ["state", "is", "a", "value", "and", "lanes", "go", "on", "where", "they", "ended"]
    text = " ".join(chance.choice(words) for _ in range(850))
    return encode_text(text + "!", Encoding(), name="words")


@pytest.fixture
def small() -> Small:
    """A function that returns a recipe for that corpus, with some values changed."""

    def make(name: str = "default", **changes: Any) -> Recipe:
        return find_recipe(name, SMALL | changes)

    return make


@pytest.fixture
def make_trainer(corpus: EncodedCorpus) -> MakeTrainer:
    """A function that returns a trainer over the whole corpus; the same recipe gives the same trainer."""

    def make(recipe: Recipe) -> Trainer:
        torch.manual_seed(recipe.seed)
        lanes = Lanes(corpus.ids, lanes=recipe.lanes, steps=recipe.block, seed=recipe.seed)
        model = LanguageModel(recipe.model_config(len(corpus.vocabulary))).train()
        return Trainer(model, lanes, recipe, precision=recipe.precision)

    return make


@pytest.fixture
def small_files() -> Limit:
    """A context in which no file of this process grows beyond a size, as on a full disk."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
