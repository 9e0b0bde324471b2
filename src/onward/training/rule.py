"""The rule that chooses the hyperparameters that the user did not give.

A run reads a short text many times, and then overfits. So the rule limits the passes over a short text, makes
its steps small (few lanes), and regularises more if there are more passes. `benchmarks/LOG.md` has the
figures behind the constants here. They come from few texts and are provisional; `benchmarks/recipe_search.py`
compares settings on texts of many kinds.
"""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

from onward.training.recipe import Recipe

CHOSEN = ("lanes", "dropout", "noise", "rate", "muon_rate", "warm_up")
"""The hyperparameters that the rule chooses."""


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
_SYMBOLS_OF_A_LANE = {False: 3_000, True: 1_500}
"""Symbols that a lane reads in a pass, with new weights and with a base, so that a pass has enough steps."""

_FEWEST_LANES = 8
_BASE_WARM_UP = 10
_LOWEST_RATES, _HIGHEST_RATES = (50_000, 0.1), (400_000, 0.4)
"""Learning rates of a run with a base, as shares of the recipe's, by the length of the text in symbols.
Between these lengths the share grows as a power of the length."""

_SYMBOLS_OF_A_PASS = {False: 12_000, True: 25_000}
"""The limit of passes is the number of symbols divided by this number, but at least `_FEWEST_PASSES`."""

_FEWEST_PASSES = 2.0


def choose_lanes(recipe: Recipe, symbols: int, *, has_base: bool) -> int:
    """Returns the number of lanes for a run on a number of symbols; at most that of the recipe."""
    lanes = 1 << max(0, round(math.log2(max(1, symbols / _SYMBOLS_OF_A_LANE[has_base]))))
    return max(min(lanes, recipe.lanes), min(_FEWEST_LANES, recipe.lanes))


def choose(recipe: Recipe, given: Collection[str], *, symbols: int, passes: float, has_base: bool) -> Recipe:
    """Returns a recipe with the hyperparameters that suit a run.

    Args:
        recipe: the recipe with what the user chose.
        given: names of the hyperparameters that the user chose; they stay.
        symbols: number of symbols to train on.
        passes: number of passes over them.
        has_base: whether the run begins with the weights of a base.
    """
    level = next(level for level in (_FROM_BASE if has_base else _FROM_NOTHING) if passes <= level.passes)
    chosen: dict[str, Any] = {
        "lanes": choose_lanes(recipe, symbols, has_base=has_base),
        "dropout": level.dropout,
        "noise": level.noise,
    }
    if has_base:
        share = base_rates(symbols)
        chosen |= {
            "rate": round(recipe.rate * share, 6),
            "muon_rate": round(recipe.muon_rate * share, 6),
            "warm_up": _BASE_WARM_UP,
        }
    return replace(recipe, **{name: value for name, value in chosen.items() if name not in given})


def most_passes(symbols: int, *, has_base: bool) -> float:
    """Returns the number of passes over a text after which further ones do not help."""
    return max(_FEWEST_PASSES, symbols / _SYMBOLS_OF_A_PASS[has_base])


def base_rates(symbols: int) -> float:
    """Returns the learning rates of a run with a base, as a share of the recipe's.

    The model can learn more from a longer text, so it needs to keep less of what the base has learned.
    """
    (short, low), (long, high) = _LOWEST_RATES, _HIGHEST_RATES
    within = math.log(min(max(symbols, short), long) / short) / math.log(long / short)
    return low * (high / low) ** within
