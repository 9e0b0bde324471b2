"""The history of a session: earlier states, and the symbols since the oldest of them.

Snapshots get sparser with age: going back by n symbols re-reads at most n / 4 symbols, and the number of
snapshots grows only with the logarithm of the reach.
"""

from array import array
from typing import NamedTuple

import numpy as np
from torch import Tensor

from onward.layers.state import State, map_state, tensors_of
from onward.shapes import Logits

FEWEST_SNAPSHOTS, _GROWTH = 64, 1.25
"""Snapshots are thinned if there are more than `FEWEST_SNAPSHOTS`, and more than `_GROWTH` times as many as
were left the last time."""

_SPACING = 4  # gaps between snapshots are at most their age divided by this


class Snapshot(NamedTuple):
    """A session at one position.

    Attributes:
        position: number of symbols that were fed.
        state: the state after them.
        logits: logits of the next symbol, (1, 1, V).
    """

    position: int
    state: State
    logits: Logits


class History:
    """The snapshots of a session.

    Args:
        first: the first snapshot.
        reach: minimum number of symbols that can be taken back.

    Attributes:
        snapshots: the snapshots, oldest first.
        ids: the symbols since the oldest snapshot.
    """

    def __init__(self, first: Snapshot, reach: int) -> None:
        self.snapshots, self.ids = [first], array("I")
        self._reach, self._most = reach, FEWEST_SNAPSHOTS

    @property
    def oldest(self) -> int:
        """The first position that the session can go back to."""
        return self.snapshots[0].position

    @property
    def megabytes(self) -> float:
        """Approximate size of the snapshots and the symbols."""
        last = self.snapshots[-1]
        size = sum(part.nbytes for part in tensors_of(last.state)) + last.logits.nbytes
        return (len(self.snapshots) * size + len(self.ids) * self.ids.itemsize) / 2**20

    def copy(self) -> "History":
        """Returns an independent history."""
        twin = History(self.snapshots[0], self._reach)
        twin.snapshots, twin.ids, twin._most = self.snapshots[:], self.ids[:], self._most
        return twin

    def append(self, ids: np.ndarray, snapshot: Snapshot) -> None:
        """Adds symbols (n,) and the snapshot after them."""
        self.ids.frombytes(ids.astype(np.uintc).tobytes())
        self.keep(snapshot)

    def keep(self, snapshot: Snapshot) -> None:
        """Adds a snapshot, and drops snapshots that are out of reach or too close to others."""
        self.snapshots.append(snapshot._replace(state=map_state(_compact, snapshot.state)))
        oldest = self.oldest
        if (
            len(self.snapshots) <= max(FEWEST_SNAPSHOTS, self._most)
            and snapshot.position - oldest <= 2 * self._reach
        ):
            return
        self.snapshots = _thinned(self.snapshots, snapshot.position - self._reach)
        self._most = int(len(self.snapshots) * _GROWTH)
        del self.ids[: self.oldest - oldest]

    def back(self, target: int) -> tuple[Snapshot, np.ndarray]:
        """Goes back to a position.

        Returns:
            The last snapshot at or before the position, and the symbols (n,) from there to the position.
        """
        while self.snapshots[-1].position > target:
            self.snapshots.pop()
        last, oldest = self.snapshots[-1], self.oldest
        again = np.array(self.ids[last.position - oldest : target - oldest], np.int64)
        del self.ids[target - oldest :]
        return last, again


def _thinned(snapshots: list[Snapshot], first: int) -> list[Snapshot]:
    """Returns the snapshots that are needed to go back to any position from `first` on."""
    now = snapshots[-1].position
    kept = [snapshots[-1]]
    for i in range(len(snapshots) - 2, -1, -1):
        if kept[-1].position <= first:
            break
        gap = kept[-1].position - snapshots[max(0, i - 1)].position
        if i == 0 or snapshots[i].position <= first or gap * _SPACING > now - kept[-1].position:
            kept.append(snapshots[i])
    return kept[::-1]


def _compact(part: Tensor) -> Tensor:
    """Returns the tensor, copied if it is a slice of a larger block, which it would keep in memory."""
    return part.clone() if part.untyped_storage().nbytes() > part.nbytes else part
