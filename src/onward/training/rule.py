"""The rule that chooses the hyperparameters that the user did not give.

A run reads a short text many times, and then overfits. So the rule limits the passes over a short text, makes
its steps small (few lanes), and regularises more if there are more passes. `benchmarks/LOG.md` has the
figures behind the constants here. They come from few texts and are provisional; `benchmarks/recipe_search.py`
compares settings on texts of many kinds.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from onward.training.recipe import Recipe

CHOSEN = ("lanes", "dropout", "noise", "rate", "muon_rate", "warm_up")
"""The hyperparameters that the rule chooses."""


@dataclass(frozen=True)
class Text:
    """What the rule knows about a text.

    Attributes:
        symbols: number of symbols to train on.
        surprise: loss of the run's base on the text before training, in nats per symbol; None: no base.
    """

    symbols: int
    surprise: float | None = None


class _Level(NamedTuple):
    """The regularisation of a run with at most this many passes over its text."""

    passes: float
    dropout: float
    noise: float


_FROM_NOTHING = (
    _Level(1.5, 0.0, 0.0),
    _Level(3.0, 0.1, 0.0),
    _Level(6.0, 0.15, 0.0),
    _Level(10.0, 0.2, 0.03),
    _Level(math.inf, 0.25, 0.03),
)
_FROM_BASE = (
    _Level(1.5, 0.0, 0.0),
    _Level(4.0, 0.1, 0.0),
    _Level(math.inf, 0.2, 0.03),
)
_SYMBOLS_OF_A_LANE = 3_000
"""Symbols that a lane reads in a pass, so that a pass has enough steps."""

_FEWEST_LANES = 8
_BASE_WARM_UP = 10
_LOWEST_RATES, _HIGHEST_RATES = 0.1, 0.4
"""Learning rates of a run with a base, as shares of the recipe's: for a text of few symbols with a small
surprise, and for a text of many symbols or with a large surprise."""

_FEW_SYMBOLS, _MANY_SYMBOLS = 50_000, 400_000
_SMALL_SURPRISE, _LARGE_SURPRISE = 2.0, 3.0

_SYMBOLS_OF_A_PASS = 12_000
_SYMBOLS_OF_A_PASS_WITH_BASE = 25_000
"""The limit of passes is the number of symbols divided by this number, but at least `_FEWEST_PASSES`."""

_FEWEST_PASSES = 2.0
_FEWEST_PASSES_OF_UNLIKE_TEXT = 5.0
"""For a text with a large surprise."""


def choose_lanes(recipe: Recipe, text: Text) -> int:
    """Returns the number of lanes for a run: at most that of the recipe, and at least one for each shard."""
    lanes = 1 << max(0, round(math.log2(max(1, text.symbols / _SYMBOLS_OF_A_LANE))))
    return max(min(lanes, recipe.lanes), min(_FEWEST_LANES, recipe.lanes), recipe.shards)


def choose(recipe: Recipe, given: Collection[str], text: Text, *, passes: float) -> Recipe:
    """Returns a recipe with the hyperparameters that suit a run.

    Args:
        recipe: the recipe with what the user chose.
        given: names of the hyperparameters that the user chose; they stay.
        text: the text to train on.
        passes: number of passes over it.
    """
    levels = _FROM_NOTHING if text.surprise is None else _FROM_BASE
    level = next(level for level in levels if passes <= level.passes)
    chosen: dict[str, Any] = {
        "lanes": choose_lanes(recipe, text),
        "dropout": level.dropout,
        "noise": level.noise,
    }
    if text.surprise is not None:
        share = base_rates(text.symbols, text.surprise)
        chosen |= {
            "rate": round(recipe.rate * share, 6),
            "muon_rate": round(recipe.muon_rate * share, 6),
            "warm_up": _BASE_WARM_UP,
        }
    return replace(recipe, **{name: value for name, value in chosen.items() if name not in given})


def most_passes(text: Text) -> float:
    """Returns the number of passes over a text after which further ones do not help."""
    if text.surprise is None:
        return max(_FEWEST_PASSES, text.symbols / _SYMBOLS_OF_A_PASS)
    further = (_FEWEST_PASSES_OF_UNLIKE_TEXT - _FEWEST_PASSES) * _distance(text.surprise)
    return max(_FEWEST_PASSES + further, text.symbols / _SYMBOLS_OF_A_PASS_WITH_BASE)


def base_rates(symbols: int, surprise: float) -> float:
    """Returns the learning rates of a run with a base, as a share of the recipe's.

    The model can learn more from a longer text, and from a text that surprises the base more. Then it needs
    to keep less of what the base has learned.
    """
    length = math.log(max(1, symbols) / _FEW_SYMBOLS) / math.log(_MANY_SYMBOLS / _FEW_SYMBOLS)
    within = min(1.0, max(length, _distance(surprise)))
    return _LOWEST_RATES * (_HIGHEST_RATES / _LOWEST_RATES) ** within


def _distance(surprise: float) -> float:
    """Returns how unlike the texts of the base a text is, from 0 to 1."""
    share = (surprise - _SMALL_SURPRISE) / (_LARGE_SURPRISE - _SMALL_SURPRISE)
    return min(1.0, max(0.0, share))
