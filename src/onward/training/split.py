"""The two parts of a corpus: the text to train on, in lanes, and the held-out pieces.

The held-out text is not the end of the corpus, because the end is often unlike the rest: the next chapter, or
the newest files. It is many short pieces, one at a random place in each of equal stretches of the corpus. A
piece is scored after a burn-in: the state first reads the text before the piece.
"""

from dataclasses import dataclass

import numpy as np

from onward.data.encoded import EncodedCorpus
from onward.data.lanes import Lanes, unknown_shares
from onward.data.symbols import JoinedSymbols, Symbols
from onward.training.held_out import HeldOut
from onward.training.recipe import Recipe

LARGEST_SHARE = 0.05
"""Share of a short corpus to hold out, unless the recipe says otherwise."""

ENOUGH, ENOUGH_SHARE, MOST = 16_384, 0.01, 131_072
"""Of a longer corpus, `ENOUGH` symbols are held out; of a very long one `ENOUGH_SHARE`, up to `MOST`."""

FEWEST = 256
"""If fewer symbols would be held out, none are."""

PIECES, SHORTEST_PIECE, LONGEST_PIECE = 32, 128, 1024
"""Number of pieces, as long as their length is within the limits."""

BURN_IN = 256
"""Number of symbols that the state reads before a piece."""

LANE_STARTS = "shifted"
"""Where lanes start from the second epoch on: "shifted" to new positions in each epoch, or "fixed"."""


@dataclass(frozen=True)
class CorpusSplit:
    """A corpus, split for a run.

    Attributes:
        training: the symbols to train on, (N,).
        held_out: the pieces that are not trained on.
        unknown_shares: for each symbol, the share of its occurrences that training replaces by UNKNOWN, (V,);
            None for bytes, of which none is unknown.
    """

    training: Symbols
    held_out: HeldOut
    unknown_shares: np.ndarray | None

    def lanes(self, recipe: Recipe) -> Lanes:
        """Returns the blocks of the training part, from the first one on."""
        return Lanes(
            self.training,
            lanes=recipe.lanes,
            steps=recipe.block,
            unknown=self.unknown_shares,
            seed=recipe.seed,
            shifted=LANE_STARTS == "shifted",
            noise=recipe.noise,
        )


def split_corpus(corpus: EncodedCorpus, recipe: Recipe) -> CorpusSplit:
    """Splits a corpus by the share to hold out and the seed of a recipe."""
    ids = corpus.ids
    starts, length, burn_in = _places(len(ids), held_out_symbols(len(ids), recipe.validation), recipe.seed)
    shares = None if corpus.vocabulary.kind == "bytes" else unknown_shares(corpus.counts)
    return CorpusSplit(_without(ids, starts, length), HeldOut.cut(ids, starts, length, burn_in), shares)


def held_out_symbols(symbols: int, share: float | None = None) -> int:
    """Returns the number of symbols to hold out of a corpus.

    Args:
        symbols: size of the corpus.
        share: the share to hold out; None: as much as checks and temperature need.
    """
    if share is None:
        share = LARGEST_SHARE
        most = min(max(ENOUGH, int(symbols * ENOUGH_SHARE)), MOST)
    else:
        most = symbols
    size = min(int(symbols * share), most)
    return size if size >= FEWEST else 0


def _places(symbols: int, held_out: int, seed: int) -> tuple[list[int], int, int]:
    """Returns where the pieces start, their length, and the length of their burn-in.

    There is one piece in each of equal stretches of the corpus, and its burn-in is in the same stretch.
    """
    if not held_out:
        return [], 0, 0
    length = min(max(held_out // PIECES, SHORTEST_PIECE), LONGEST_PIECE)
    count = held_out // length
    stretch = symbols // count
    burn_in = min(BURN_IN, stretch - length)
    drawn = np.random.default_rng(seed).integers(0, stretch - length - burn_in, count, endpoint=True)
    starts = [number * stretch + burn_in + int(shift) for number, shift in enumerate(drawn)]
    return starts, length, burn_in


def _without(ids: Symbols, starts: list[int], length: int) -> Symbols:
    """Returns the symbols outside the pieces, joined."""
    if not starts:
        return ids
    ends = [0, *(start + length for start in starts)]
    kept = [ids[end:start] for end, start in zip(ends, [*starts, len(ids)], strict=True)]
    if isinstance(ids, np.ndarray):
        return np.concatenate(kept)
    return JoinedSymbols(kept)
