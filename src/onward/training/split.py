"""The two parts of a corpus: the text to train on, in lanes, and the held-out text."""

from dataclasses import dataclass

from onward.data.encoded import EncodedCorpus
from onward.data.lanes import Lanes, unknown_shares
from onward.data.symbols import Symbols
from onward.training.recipe import Recipe

LONGEST_HELD_OUT, SHORTEST_HELD_OUT = 1_000_000, 256
"""Limits of the number of held-out symbols. If it would be below the minimum, nothing is held out."""

LANE_STARTS = "shifted"
"""Where lanes start from the second epoch on: "shifted" to new positions in each epoch, or "fixed"."""


@dataclass(frozen=True)
class CorpusSplit:
    """A corpus, split for a run.

    Attributes:
        lanes: the blocks of the training part.
        training: the symbols to train on.
        held_out: the symbols at the end of the corpus that are not trained on; may be empty.
    """

    lanes: Lanes
    training: Symbols
    held_out: Symbols


def split_corpus(corpus: EncodedCorpus, recipe: Recipe) -> CorpusSplit:
    """Returns the training part of a corpus, in the recipe's lanes, and its held-out part."""
    ids = corpus.ids
    size = min(int(len(ids) * recipe.validation), LONGEST_HELD_OUT)
    cut = len(ids) - (size if size >= SHORTEST_HELD_OUT else 0)
    lanes = Lanes(
        ids[:cut],
        lanes=recipe.lanes,
        steps=recipe.block,
        unknown=None if corpus.vocabulary.kind == "bytes" else unknown_shares(corpus.counts),
        seed=recipe.seed,
        shifted=LANE_STARTS == "shifted",
        noise=recipe.noise,
    )
    return CorpusSplit(lanes, ids[:cut], ids[cut:])
