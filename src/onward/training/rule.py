"""The rule that chooses the hyperparameters that the user did not give.

A run reads a short text many times, and then learns it by heart instead of what texts of its kind have in
common. So the rule limits the passes over a short text, makes its steps small (few lanes), and regularises
the more, the more passes there are. `benchmarks/recipe_search.py` compares settings on texts of many kinds;
`benchmarks/LOG.md` has the figures behind the constants here.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from onward.training.recipe import Recipe

CHOSEN = ("lanes", "dropout", "noise")
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
_SYMBOLS_OF_A_LANE = 3_000
"""A lane reads at least this many symbols in a pass, so that a pass has enough steps."""

_FEWEST_LANES = 8


@dataclass(frozen=True)
class Choice:
    """The settings of a run.

    Attributes:
        recipe: the recipe with the chosen hyperparameters.
        passes: the number of passes over the text after which further ones do not help; None if there is no
            such number.
    """

    recipe: Recipe
    passes: float | None


def choose(recipe: Recipe, given: Collection[str], *, symbols: int, passes: float, has_base: bool) -> Choice:
    """Returns the settings for a run.

    Args:
        recipe: the recipe with what the user chose.
        given: names of the hyperparameters that the user chose; they stay.
        symbols: number of symbols to train on.
        passes: number of passes over them that the budget allows.
        has_base: whether the run begins with the weights of a base.
    """
    lanes = 1 << max(0, round(math.log2(max(1, symbols / _SYMBOLS_OF_A_LANE))))
    lanes = max(min(lanes, recipe.lanes), min(_FEWEST_LANES, recipe.lanes))
    most = most_passes(symbols, has_base=has_base)
    passes = passes if most is None else min(passes, most)
    level = next(level for level in (_FROM_BASE if has_base else _FROM_NOTHING) if passes <= level.passes)
    chosen = {"lanes": lanes, "dropout": level.dropout, "noise": level.noise}
    return Choice(replace(recipe, **{k: v for k, v in chosen.items() if k not in given}), most)


def most_passes(symbols: int, *, has_base: bool) -> float | None:
    """Returns the number of passes over a text after which further ones do not help; None: no limit."""
    return None
