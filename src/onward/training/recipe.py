"""Recipes: every hyperparameter of a training run, by name."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from onward.data.encoded import Encoding
from onward.data.vocabulary import SymbolKind
from onward.errors import RecipeError
from onward.model import LayerKind, ModelConfig

Precision = Literal["auto", "bf16", "fp32"]
Optimiser = Literal["muon", "adamw"]
Decay = Literal["linear", "cosine", "none"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides a run, together with the corpus, the budget and the machine's number of threads.

    Attributes:
        name: of the recipe it began as.
        symbols, lower, min_count: how text becomes ids (see `data.encoded.Encoding`).
        layer, width, layers, inner, feed_forward, convolution, dropout, tied: the model (see `ModelConfig`).
        noise: share of the symbols read in training that are others of the text (see `data.lanes.Lanes`);
            where text is read many times over, it keeps what is learned general, as dropout does.
        lanes: B, streams that are trained on at once.
        block: T, symbols of each lane in a step; gradients go no further back.
        optimiser: "muon" (Jordan et al. 2024) for the matrices between layers and AdamW for all else, or
            "adamw" for everything.
        rate: peak learning rate of AdamW.
        muon_rate: peak learning rate of Muon.
        weight_decay: of the matrices between layers; nothing else decays.
        clip: largest norm of the gradient of all weights together.
        warm_up: steps over which the rates rise from zero.
        decay: how they fall to zero until the last step.
        validation: share of the corpus, its end, that is held out.
        precision: of the matrix products in training; "auto" measures which is faster.
        seed: of the weights, of dropout, of noise, and of the occurrences that are read as unknown.
    """

    name: str = "default"
    symbols: SymbolKind = "characters"
    lower: bool = False
    min_count: int = 1
    layer: LayerKind = "gated"
    width: int = 256
    layers: int = 3
    inner: float = 1.5
    feed_forward: float = 2.0
    convolution: int = 4
    dropout: float = 0.0
    tied: bool = False
    noise: float = 0.0
    lanes: int = 64
    block: int = 64
    optimiser: Optimiser = "muon"
    rate: float = 6e-3
    muon_rate: float = 0.02
    weight_decay: float = 0.1
    clip: float = 1.0
    warm_up: int = 50
    decay: Decay = "linear"
    validation: float = 0.05
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that cannot be trained with; those of the model are checked by `ModelConfig`."""
        _checked(self.to_json())
        self.model_config(4)

    @property
    def encoding(self) -> Encoding:
        """How text becomes ids."""
        return Encoding(self.symbols, self.lower, self.min_count)

    def model_config(self, symbols: int) -> ModelConfig:
        """The model for a vocabulary of that size."""
        shared = {field.name for field in fields(ModelConfig)} - {"symbols"}
        return ModelConfig(symbols=symbols, **{name: getattr(self, name) for name in shared})

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain values."""
        return asdict(self)


_RANGES: dict[str, tuple[float, float]] = {
    "min_count": (1, 2**31),
    "noise": (0.0, 0.5),
    "lanes": (1, 2**20),
    "block": (1, 2**20),
    "rate": (0.0, 10.0),
    "muon_rate": (0.0, 10.0),
    "weight_decay": (0.0, 10.0),
    "clip": (1e-6, 1e6),
    "warm_up": (0, 2**31),
    "validation": (0.0, 0.5),
    "seed": (0, 2**31),
}

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}

_CHOICES: dict[str, tuple[str, ...]] = {
    "symbols": get_args(SymbolKind),
    "layer": get_args(LayerKind),
    "optimiser": get_args(Optimiser),
    "decay": get_args(Decay),
    "precision": get_args(Precision),
}


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, whole numbers as real ones where those are meant: 1 and 1.0 are one recipe, and one file.

    Raises:
        RecipeError: the first that is of another type than the default's, or out of its range.
    """
    found = dict(values)
    for field in fields(Recipe):
        name, kind, value = field.name, type(field.default), found[field.name]
        if kind is float and type(value) is int:
            value = found[name] = float(value)
        smallest, largest = _RANGES.get(name, (-math.inf, math.inf))
        choices = _CHOICES.get(name)
        if choices and value not in choices:
            raise RecipeError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        if type(value) is not kind or (kind in (int, float) and not smallest <= value <= largest):
            limits = f" from {smallest} to {largest}" if name in _RANGES else ""
            raise RecipeError(f"{name} must be {_KINDS[kind]}{limits}, got {value!r}")
    return found


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
"""The named recipes: what stands in each overrides the default."""


def find_recipe(name: str = "default", overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A named recipe with some of its values changed.

    Raises:
        RecipeError: a name that does not exist (with the nearest that does), or a value that cannot be.
    """
    if name not in RECIPES:
        raise RecipeError(f"there is no recipe {name!r}", hint=f"recipes are {', '.join(RECIPES)}")
    known = [field.name for field in fields(Recipe) if field.name != "name"]
    for unknown in set(overrides or {}) - set(known):
        near = difflib.get_close_matches(unknown, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"hyperparameters are {', '.join(known)}"
        raise RecipeError(f"there is no hyperparameter {unknown!r}", hint=hint)
    return Recipe(**_checked(RECIPES[name].to_json() | dict(overrides or {})))
