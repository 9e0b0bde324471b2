"""The sampling loop: repeatedly draws one symbol for each of B lanes.

`Writer` and the server's batcher share it, so that both write the same text for the same seed.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from onward.inference.step.sampling import Sampling, random_stream
from onward.inference.step.stepper import Stepper
from onward.layers.state import State, join_lanes

_BLOCK = 1024


def uniform_numbers(seed: int, number: int) -> Iterator[float]:
    """Yields the uniform random numbers in [0, 1) for drawing the symbols of sample `number` of a seed."""
    stream = random_stream(seed, number)
    while True:
        yield from stream.random(_BLOCK).tolist()


class Decoder:
    """Draws symbols for lanes, which can be added and removed between two draws.

    The step over the last drawn symbols is delayed until the next draw. Stepping and drawing are then one
    call into C, and lanes that have ended are not stepped.

    Args:
        stepper: stepper of the model. Nothing else may use it at the same time.
        never: ids below this number are never drawn (see `never_drawn`).
    """

    def __init__(self, stepper: Stepper, never: int) -> None:
        self._stepper = stepper
        self._never = never
        self._logits = np.empty((0, 0), np.float32)  # (B, V); outdated while symbols are pending
        self._pending: np.ndarray | None = None  # (B,), drawn and not yet stepped over

    def __len__(self) -> int:
        """Returns the number of lanes, B."""
        return len(self._logits if self._pending is None else self._pending)

    def add(self, logits: np.ndarray, state: State) -> None:
        """Adds lanes after the existing ones.

        Args:
            logits: logits of the first symbol of each new lane, (n, V).
            state: state of the n new lanes.
        """
        if len(self):
            logits = np.concatenate([self.logits(), logits])
            state = join_lanes([self._stepper.state, state])
        else:
            logits = logits.copy()  # drawing changes them
        self._stepper.state = state
        self._logits, self._pending = logits, None

    def select(self, lanes: np.ndarray) -> None:
        """Keeps the lanes with the given indices, (n,), and removes the others."""
        if self._pending is None:
            self._logits = self._logits[lanes]
        else:
            self._pending = self._pending[lanes]
        if len(lanes):
            self._stepper.select(lanes)

    def logits(self) -> np.ndarray:
        """Returns the logits of the next symbol, (B, V). The next draw overwrites them."""
        if self._pending is not None:
            self._logits, self._pending = self._stepper.step(self._pending), None
        return self._logits

    def draw(self, uniforms: np.ndarray, sampling: Sampling) -> np.ndarray:
        """Draws the next symbol of each lane, (B,). The next call may overwrite the array.

        Args:
            uniforms: a random number in [0, 1) for each lane, (B,).
            sampling: how symbols are drawn, for all lanes.

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
        """Does the same as `draw`, with a separate `Sampling` for each lane."""
        logits = self.logits()
        logits[:, : self._never] = -np.inf
        drawn = np.empty(len(samplings), np.int64)
        for sampling in set(samplings):
            lanes = np.array([other == sampling for other in samplings])
            drawn[lanes] = sampling.draw(logits[lanes], uniforms[lanes])
        self._pending = drawn
        return drawn
