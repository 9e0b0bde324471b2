"""The sampling loop: draws one symbol for each of B lanes, again and again.

`Writer` and the server's batcher share it, so that a sample is the same text for the same seed in both.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from onward.inference.step.sampling import Sampling, random_stream
from onward.inference.step.stepper import Stepper
from onward.layers.state import State, join_lanes

_BLOCK = 1024


def uniform_numbers(seed: int, number: int) -> Iterator[float]:
    """Yields the uniform random numbers in [0, 1) that draw the symbols of sample `number` of a seed."""
    stream = random_stream(seed, number)
    while True:
        yield from stream.random(_BLOCK).tolist()


class Decoder:
    """Lanes that are sampled from; lanes can be added and removed between two draws.

    The step over the symbols drawn last is delayed until the next draw: stepping and drawing are then one
    call into C, and lanes that have ended are not stepped.

    Args:
        stepper: of the model. Nothing else may use it meanwhile.
        never: symbols with ids below this one are never drawn (see `never_drawn`).
    """

    def __init__(self, stepper: Stepper, never: int) -> None:
        self._stepper = stepper
        self._never = never
        self._logits = np.empty((0, 0), np.float32)  # (B, V); outdated while there are pending symbols
        self._pending: np.ndarray | None = None  # (B,), drawn and not yet stepped over

    def __len__(self) -> int:
        """B."""
        return len(self._logits if self._pending is None else self._pending)

    def add(self, logits: np.ndarray, state: State) -> None:
        """Adds lanes behind the others.

        Args:
            logits: of the first symbol of each new lane, (n, V).
            state: of the n lanes.
        """
        if len(self):
            logits = np.concatenate([self.logits(), logits])
            state = join_lanes([self._stepper.state, state])
        else:
            logits = logits.copy()  # draws change it
        self._stepper.state = state
        self._logits, self._pending = logits, None

    def select(self, lanes: np.ndarray) -> None:
        """Keeps these lanes, (n,) as indices, and removes the others."""
        if self._pending is None:
            self._logits = self._logits[lanes]
        else:
            self._pending = self._pending[lanes]
        if len(lanes):
            self._stepper.select(lanes)

    def logits(self) -> np.ndarray:
        """Logits of the next symbol, (B, V). The next draw replaces them."""
        if self._pending is not None:
            self._logits, self._pending = self._stepper.step(self._pending), None
        return self._logits

    def draw(self, uniforms: np.ndarray, sampling: Sampling) -> np.ndarray:
        """Draws the next symbol of each lane, (B,). The next call may replace the array.

        Args:
            uniforms: a random number in [0, 1) for each lane, (B,).
            sampling: for all lanes.

        Raises:
            RunError: the logits are not finite numbers.
        """
        if self._pending is None:
            self._logits[:, : self._never] = -np.inf
            self._pending = sampling.draw(self._logits, uniforms)
        else:
            self._pending = self._stepper.write(self._pending, uniforms, sampling, self._never)
        return self._pending

    def draw_each(self, uniforms: np.ndarray, samplings: Sequence[Sampling]) -> np.ndarray:
        """Like `draw`, with a sampling for each lane."""
        logits = self.logits()
        logits[:, : self._never] = -np.inf
        drawn = np.empty(len(samplings), np.int64)
        for sampling in set(samplings):
            lanes = np.array([other == sampling for other in samplings])
            drawn[lanes] = sampling.draw(logits[lanes], uniforms[lanes])
        self._pending = drawn
        return drawn
