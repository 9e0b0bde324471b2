"""Prefixes of continuations that advance together: many searches, one step of the model."""

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch

from onward.inference.completion.boundaries import Prefix
from onward.inference.step.stepper import FEW_LANES, Stepper
from onward.layers.state import State, tensors_of


class Node(NamedTuple):
    """A prefix that may be looked at, likelier ones first in order.

    Attributes:
        less: minus its probability.
        number: tells those of one probability apart.
        slot: where the state before its last symbol is kept.
        symbol: its last.
        prefix: what it is.
    """

    less: float
    number: int
    slot: int
    symbol: int
    prefix: Prefix


class Wave(NamedTuple):
    """Prefixes that advance at once, and the row of the first of the states after them."""

    nodes: list[Node]
    first: int


class States:
    """The states of the prefixes that were looked at, in rows of a table: for each search that of the
    beginning, and after it those that follow.

    Args:
        stepper: of the model.
        begun: the states where the searches begin, each of one lane.
        capacities: how many each needs besides.
    """

    def __init__(self, stepper: Stepper, begun: list[State], capacities: list[int]) -> None:
        self._stepper = stepper
        *self.bases, size = accumulate((capacity + 1 for capacity in capacities), initial=0)
        self._rows = [part.new_empty(size, *part.shape[1:]) for part in tensors_of(begun[0])]
        for base, state in zip(self.bases, begun, strict=True):
            for rows, part in zip(self._rows, tensors_of(state), strict=True):
                rows[base] = part[0]

    def step(self, waves: list[Wave]) -> Iterator[np.ndarray]:
        """For each wave the probabilities (B, V) of its prefixes with each symbol after them."""
        nodes = [node for wave in waves for node in wave.nodes]
        lanes = np.array([node.slot for node in nodes], np.int64)
        symbols = np.array([node.symbol for node in nodes], np.int64)
        to = np.array([wave.first + i for wave in waves for i in range(len(wave.nodes))], np.int64)
        rows = softmax(self._stepped(lanes, symbols, to))
        rows *= np.array([-node.less for node in nodes])[:, None]
        start = 0
        for wave in waves:
            yield rows[start : start + len(wave.nodes)]
            start += len(wave.nodes)

    def _stepped(self, lanes: np.ndarray, symbols: np.ndarray, to: np.ndarray) -> np.ndarray:
        """Logits (B, V), as `Stepper.step_rows` gives them, for any number of lanes."""
        if len(lanes) <= FEW_LANES:
            return self._stepper.step_rows(self._rows, lanes, symbols, to)
        # The rows that one part of the lanes writes may be those that a later one reads: all are read first.
        read, every = torch.from_numpy(lanes), np.arange(len(lanes))
        after = [rows.index_select(0, read) for rows in self._rows]
        parts = []
        for start in range(0, len(lanes), FEW_LANES):
            part = every[start : start + FEW_LANES]
            parts.append(self._stepper.step_rows(after, part, symbols[part], part).copy())
        for rows, part in zip(self._rows, after, strict=True):
            rows.index_copy_(0, torch.from_numpy(to), part)
        return np.concatenate(parts)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (B, V)."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
