"""How surprised a model is by a text: -log of the probability of each symbol, given what came before.

Two protocols, each of which counts every symbol once:

    streaming   one pass from BEGIN, the state carried throughout
    cold-N      windows of N symbols, each from a zero state; the first symbol of a window is predicted from
                the one symbol before it. What models of a bounded context report.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onward.data.vocabulary import BEGIN
from onward.errors import InputError
from onward.layers.state import State, map_state
from onward.model import LanguageModel, losses
from onward.units import nats_to_bits, perplexity

BLOCK = 2048
"""Symbols of one lane that are scored at once."""

WARM_UP = 1024
"""Symbols before its own that a lane reads, unscored, when a text is cut into lanes."""

_NUMBERS = 1 << 23
"""Logits held at once, at most (32 MB)."""

_LANE_BLOCK = 64


@dataclass(frozen=True)
class Score:
    """A text's surprise in total.

    Attributes:
        symbols: scored.
        nats: in sum.
        protocol: "streaming" or "cold-N".
    """

    symbols: int
    nats: float
    protocol: str

    @property
    def nats_per_symbol(self) -> float:
        """The mean; NaN of no symbols."""
        return self.nats / self.symbols if self.symbols else math.nan

    @property
    def bits_per_symbol(self) -> float:
        """The mean in bits."""
        return nats_to_bits(self.nats_per_symbol)

    @property
    def perplexity(self) -> float:
        """How many equally likely symbols would be as hard to guess."""
        return perplexity(self.nats_per_symbol)


def protocol_name(cold: int | None) -> str:
    """What a score says of how it was found."""
    return "streaming" if cold is None else f"cold-{cold}"


def surprises(
    model: LanguageModel, pieces: Iterable[np.ndarray], *, cold: int | None = None
) -> Iterator[np.ndarray]:
    """The nats of each symbol of a stream, in blocks, in constant memory.

    Args:
        model: in evaluation mode.
        pieces: the ids of the stream, cut anyhow.
        cold: N, for windows of N symbols from a zero state.

    Raises:
        InputError: a window of less than one symbol.
    """
    if cold is not None and cold < 1:
        raise InputError(f"a cold window has at least 1 symbol, got {cold}")
    steps = BLOCK if cold is None else cold * max(1, _NUMBERS // (cold * model.config.symbols))
    before, state = BEGIN, model.initial_state(1)
    for ids in _blocks(pieces, steps):
        y = torch.from_numpy(ids.astype(np.int64))
        x = torch.cat([torch.tensor([before]), y[:-1]])
        before = int(y[-1])
        if cold is None:
            nats, state = _scored(model, x[:, None], y[:, None], state)
            yield nats[:, 0].numpy()
        else:
            yield _windows(model, x, y, cold)


def surprise_in_lanes(model: LanguageModel, ids: np.ndarray, lanes: int) -> np.ndarray:
    """The nats of each symbol (N,), by `lanes` parts of the text at once.

    Each part begins with a state that has read the `WARM_UP` symbols before it, so the result differs from
    that of one pass by what the model remembers from longer ago.
    """
    if lanes < 1:
        raise InputError(f"a text is scored in at least 1 lane, got {lanes}")
    length = -(-len(ids) // (lanes * _LANE_BLOCK)) * _LANE_BLOCK  # whole blocks, so that starts fall on one
    starts = np.arange(0, len(ids), length)
    padded = np.full(len(starts) * length + 1, BEGIN, np.int64)
    padded[1 : len(ids) + 1] = ids  # x is padded[:-1], y padded[1:]
    zero = model.initial_state(len(starts))
    state, found = zero, np.zeros((length, len(starts)))
    for at in range(-WARM_UP if len(starts) > 1 else 0, length, _LANE_BLOCK):
        places = starts + at
        rows = np.clip(places, 0, None) + np.arange(_LANE_BLOCK + 1)[:, None]
        block = torch.from_numpy(padded[np.minimum(rows, len(padded) - 1)])
        begins = torch.from_numpy(places <= 0)
        state = map_state(lambda new, old: torch.where(_beside(begins, new), old, new), state, zero)  # noqa: B023
        nats, state = _scored(model, block[:-1], block[1:], state)
        if at >= 0:
            found[at : at + _LANE_BLOCK] = nats.numpy()
    return found.T.ravel()[: len(ids)]


@torch.inference_mode()
def _scored(model: LanguageModel, x: Tensor, y: Tensor, state: State) -> tuple[Tensor, State]:
    """The nats of y (T, B) given x (T, B), in float64, and the state after."""
    logits, state = model(x, state)
    return losses(logits, y).double(), state


def _windows(model: LanguageModel, x: Tensor, y: Tensor, cold: int) -> np.ndarray:
    """The nats of y (N,) given x (N,), in windows that are lanes, and what remains in a shorter one."""
    whole = len(y) // cold * cold
    parts = [(x[:whole].view(-1, cold).t(), y[:whole].view(-1, cold).t())] if whole else []
    parts += [(x[whole:, None], y[whole:, None])] if whole < len(y) else []
    found = [_scored(model, a, b, model.initial_state(a.shape[1]))[0].t().flatten() for a, b in parts]
    return torch.cat(found).numpy()


def _blocks(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same symbols in blocks of `size`, the last one shorter."""
    held: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        while count + len(piece) >= size:
            cut = size - count
            yield np.concatenate([*held, piece[:cut]])
            held, count, piece = [], 0, piece[cut:]  # noqa: PLW2901 - what is left of it
        held, count = [*held, piece], count + len(piece)
    if count:
        yield np.concatenate(held)


def _beside(lanes: Tensor, like: Tensor) -> Tensor:
    """(B,) with as many axes as the tensor it is to be combined with."""
    return lanes.view(-1, *[1] * (like.ndim - 1))
