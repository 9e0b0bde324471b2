"""Recipes: all hyperparameters of a training run, by name."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from onward.checks import checked_dataclass
from onward.data.encoded import Encoding
from onward.data.vocabulary import SymbolKind
from onward.errors import RecipeError
from onward.model import Architecture, ModelConfig
from onward.precision import Precision

Optimiser = Literal["muon", "adamw"]
Decay = Literal["linear", "cosine", "none"]


@checked_dataclass(RecipeError, kw_only=True)
class Recipe(Architecture):
    """Everything that determines a run, besides the corpus, the budget and the number of threads.

    The fields of `Architecture` (layer, width, layers, inner, feed_forward, convolution, dropout, tied)
    describe the model.

    Attributes:
        name: the recipe that this one was derived from.
        symbols, lower, min_count: how text becomes ids (see `data.encoded.Encoding`).
        noise: share of the input symbols to replace by random symbols of the text (see
            `data.lanes.Lanes`). Like dropout, it reduces overfitting when a text is repeated many times.
        lanes: B, the number of parallel streams (the batch size).
        block: T, the number of symbols of each lane in a step; gradients are truncated there.
        shards: number of parts of the lanes, a power of two, whose gradients are computed one by one (see
            `training.shards`). It must be a multiple of the number of processes.
        optimiser: "muon" uses Muon for the matrices between layers and AdamW for all other weights; "adamw"
            uses AdamW for all.
        rate: peak learning rate of AdamW.
        muon_rate: peak learning rate of Muon.
        weight_decay: weight decay of the matrices between layers; other weights do not decay.
        clip: maximum norm of the gradient of all weights; a larger gradient is scaled down.
        warm_up: number of steps over which the learning rates rise from zero.
        decay: how the learning rates fall to zero by the last step; "none" keeps them level.
        validation: share of the corpus to hold out; None: at most 5 %, and only as much as the checks need
            (see `split.held_out_symbols`).
        precision: precision of the matrix products in training; "auto" measures which is faster.
        base: the model whose weights the run begins with: the name of a base model, the path of a model file,
            or "none".
        remember: whether the model file holds the end of the training text, which each memory counts at its
            start (see `onward.memory.remembered`).
        seed: seed of the initial weights, dropout, noise, and the choice of the symbols that are replaced by
            UNKNOWN.

    Raises:
        RecipeError: a value has the wrong type or is out of range.
    """

    name: str = "default"
    symbols: SymbolKind = "characters"
    lower: bool = False
    min_count: Annotated[int, Field(ge=1, le=2**31)] = 1
    noise: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    lanes: Annotated[int, Field(ge=1, le=2**20)] = 64
    block: Annotated[int, Field(ge=1, le=2**20)] = 64
    shards: Annotated[int, Field(ge=1, le=2**20)] = 1
    optimiser: Optimiser = "muon"
    rate: Annotated[float, Field(ge=0.0, le=10.0)] = 6e-3
    muon_rate: Annotated[float, Field(ge=0.0, le=10.0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = 0.1
    clip: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    warm_up: Annotated[int, Field(ge=0, le=2**31)] = 50
    decay: Decay = "linear"
    validation: Annotated[float, Field(ge=0.0, le=0.5)] | None = None
    precision: Literal["auto", Precision] = "auto"
    base: str = "none"
    remember: bool = False
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0

    @model_validator(mode="after")
    def _check_shards(self) -> "Recipe":
        if self.shards & (self.shards - 1):
            raise RecipeError(f"shards must be a power of two, such as 4 or 8, got {self.shards}")
        return self

    @property
    def encoding(self) -> Encoding:
        """How text is encoded as ids."""
        return Encoding(self.symbols, self.lower, self.min_count)

    def model_config(self, symbols: int) -> ModelConfig:
        """Returns the configuration of the model for a vocabulary of that size."""
        shared = {field.name: getattr(self, field.name) for field in fields(Architecture)}
        return ModelConfig(symbols=symbols, **shared)

    def to_json(self) -> dict[str, Any]:
        """Returns the recipe as plain values; one shard is left out, as in files of earlier versions."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("shards", 1)}


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(),
        Recipe(name="lstm", layer="lstm", width=384, layers=2),
        Recipe(name="gru", layer="gru", width=448, layers=2),
        Recipe(name="simple", layer="simple", width=512, layers=2),
        Recipe(name="tiny", width=64, layers=2, lanes=8, block=64),
    )
}
"""The recipes by name; each lists its differences from the default."""


def find_recipe(name: str = "default", overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Returns a named recipe, with some of its values replaced.

    Raises:
        RecipeError: the recipe or a hyperparameter does not exist, or a value is out of range.
    """
    if name not in RECIPES:
        raise RecipeError(f"there is no recipe {name!r}", hint=f"the recipes are {', '.join(RECIPES)}")
    known = [field.name for field in fields(Recipe) if field.name != "name"]
    for unknown in set(overrides or {}) - set(known):
        near = difflib.get_close_matches(unknown, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"the hyperparameters are {', '.join(known)}"
        raise RecipeError(f"there is no hyperparameter {unknown!r}", hint=hint)
    return Recipe(**RECIPES[name].to_json() | dict(overrides or {}))
