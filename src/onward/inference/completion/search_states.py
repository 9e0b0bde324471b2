"""The model states of all searches in one table, so that the searches share each step of the model."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch

from onward.inference.completion.boundaries import Prefix
from onward.inference.step.stepper import FEW_LANES, Stepper
from onward.layers.state import State, tensors_of
from onward.memory.layout import PLACE
from onward.memory.memory import Memory


class Node(NamedTuple):
    """A prefix that a search may expand. Likelier nodes sort first.

    Attributes:
        cost: the negative probability of the prefix.
        number: number in the order of creation, which breaks ties.
        row: row of the state before the last symbol.
        symbol: last symbol of the prefix.
        prefix: the prefix.
    """

    cost: float
    number: int
    row: int
    symbol: int
    prefix: Prefix


class Expansion(NamedTuple):
    """Nodes that a search expands in one step, and the row of the first of their new states."""

    nodes: list[Node]
    first_row: int


class StateTable:
    """The states of several searches, one per row. Each search has a row for its start, then its other rows.

    Args:
        stepper: stepper of the model.
        starts: the state at the start of each search, for one lane.
        capacities: number of rows of each search, not counting the row for its start.
        memories: the memory of each search, which does not change.

    Attributes:
        bases: the row of the start of each search.
    """

    def __init__(
        self,
        stepper: Stepper,
        starts: list[State],
        capacities: list[int],
        memories: list[Memory | None],
    ) -> None:
        self._stepper = stepper
        *self.bases, size = accumulate((capacity + 1 for capacity in capacities), initial=0)
        self._rows = [part.new_empty(size, *part.shape[1:]) for part in tensors_of(starts[0])]
        for base, state in zip(self.bases, starts, strict=True):
            for rows, part in zip(self._rows, tensors_of(state), strict=True):
                rows[base] = part[0]
        self._memories, self._places = memories, np.empty((0, 0), np.uint32)
        if any(memories):
            self._places = np.empty((size, PLACE), np.uint32)
            for base, memory in zip(self.bases, memories, strict=True):
                if memory:
                    self._places[base] = memory.place()

    def step(self, expansions: Mapping[int, Expansion]) -> Iterator[np.ndarray]:
        """Steps the nodes of all expansions at once.

        Args:
            expansions: for each search by its number, the nodes to expand.

        Yields:
            For each expansion: the probability of each of its prefixes with each symbol after it, (B, V).
        """
        nodes = [node for expansion in expansions.values() for node in expansion.nodes]
        rows = np.array([node.row for node in nodes], np.int64)
        symbols = np.array([node.symbol for node in nodes], np.int64)
        new_rows = np.concatenate(
            [first + np.arange(len(part), dtype=np.int64) for part, first in expansions.values()]
        )
        probabilities = softmax(self._logits(rows, symbols, new_rows))
        start = 0
        for number, expansion in expansions.items():
            part = slice(start, start + len(expansion.nodes))
            if memory := self._memories[number]:
                memory.step(self._places, rows[part], symbols[part], new_rows[part], probabilities[part])
            start = part.stop
        probabilities *= np.array([-node.cost for node in nodes])[:, None]
        start = 0
        for expansion in expansions.values():
            yield probabilities[start : start + len(expansion.nodes)]
            start += len(expansion.nodes)

    def copy(self, row: int, goal: int) -> None:
        """Copies the state of a row to another one."""
        for table in self._rows:
            table[goal] = table[row]
        if len(self._places):
            self._places[goal] = self._places[row]

    def _logits(self, rows: np.ndarray, symbols: np.ndarray, new_rows: np.ndarray) -> np.ndarray:
        """Calls `Stepper.step_rows` for any number of lanes, and returns the logits (B, V)."""
        if len(rows) <= FEW_LANES:
            return self._stepper.step_rows(self._rows, rows, symbols, new_rows)
        # One part of the lanes may write rows that a later part reads, so all rows are read first.
        read, lanes = torch.from_numpy(rows), np.arange(len(rows))
        states = [table.index_select(0, read) for table in self._rows]
        logits = []
        for start in range(0, len(rows), FEW_LANES):
            part = lanes[start : start + FEW_LANES]
            logits.append(self._stepper.step_rows(states, part, symbols[part], part).copy())
        for table, state in zip(self._rows, states, strict=True):
            table.index_copy_(0, torch.from_numpy(new_rows), state)
        return np.concatenate(logits)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the probabilities (B, V) of logits (B, V)."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
