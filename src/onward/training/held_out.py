"""The held-out pieces of a corpus, and their loss under a model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from onward.data.symbols import Symbols
from onward.data.vocabulary import BEGIN
from onward.model import LanguageModel, block_length, losses
from onward.shapes import Ids, Logits

CHECKED = 16_384
"""Maximum number of symbols that a check during training scores, and that the temperature is fitted on."""


@dataclass(frozen=True)
class HeldOut:
    """Pieces of equal length that are not trained on, as lanes (T, B): one lane for each piece.

    Attributes:
        x: the symbols to read.
        y: the symbols that follow them.
        burn_in: the first positions of each lane, which are read but not scored.
    """

    x: Ids
    y: Ids
    burn_in: int

    @classmethod
    def none(cls) -> "HeldOut":
        """Returns no pieces: nothing is checked."""
        return cls(torch.zeros(0, 0, dtype=torch.int64), torch.zeros(0, 0, dtype=torch.int64), 0)

    @classmethod
    def cut(cls, ids: Symbols, starts: list[int], length: int, burn_in: int) -> "HeldOut":
        """Returns the pieces of a corpus that start at `starts`, each at least `burn_in`.

        Args:
            ids: the corpus, (N,).
            starts: position of the first symbol of each piece.
            length: number of symbols in a piece.
            burn_in: number of symbols before each piece to read first.
        """
        if not starts:
            return cls.none()
        rows = [_read(ids, start - burn_in - 1, start + length) for start in starts]
        lanes = torch.from_numpy(np.stack(rows, axis=1))  # (T + 1, B)
        return cls(lanes[:-1], lanes[1:], burn_in)

    @property
    def pieces(self) -> int:
        """Number of pieces, B."""
        return self.x.shape[1]

    def __len__(self) -> int:
        """Returns the number of symbols that are scored."""
        return self.pieces * (self.x.shape[0] - self.burn_in)

    def some(self) -> "HeldOut":
        """Returns evenly spaced pieces with at most about `CHECKED` symbols."""
        every = -(-len(self) // CHECKED) if len(self) else 1
        return HeldOut(self.x[:, ::every], self.y[:, ::every], self.burn_in)


@torch.no_grad()
def held_out_loss(model: LanguageModel, held_out: HeldOut) -> float:
    """Returns the mean loss of the pieces in nats per symbol, by a model in evaluation mode.

    The precision is that of the enclosing autocast context.
    """
    total = 0.0
    for logits, y in scored_blocks(model, held_out):
        total += float(losses(logits, y).sum(dtype=torch.float64))
    return total / len(held_out)


def scored_blocks(model: LanguageModel, held_out: HeldOut) -> Iterator[tuple[Logits, Ids]]:
    """Yields the logits (T, B, V) and the symbols that follow (T, B), block by block, after the burn-in."""
    state = model.initial_state(held_out.pieces)
    block = block_length(held_out.pieces, model.config.symbols)
    places = range(held_out.x.shape[0])
    for start in places[::block]:
        logits, state = model(held_out.x[start : start + block].to(model.device), state)
        scored = max(0, held_out.burn_in - start)
        if scored < len(logits):
            yield logits[scored:], held_out.y[start + scored : start + block].to(model.device)


def _read(ids: Symbols, start: int, stop: int) -> np.ndarray:
    """Returns a range of symbols as int64, with BEGIN at position -1."""
    known = np.asarray(ids[max(0, start) : stop]).astype(np.int64)
    return known if start >= 0 else np.concatenate([[BEGIN], known])
