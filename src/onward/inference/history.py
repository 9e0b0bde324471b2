"""Where a session has been: the state at some earlier moments, and the symbols since the oldest of them.

The moments lie the further apart the longer ago they are, so that going back has a quarter of the way to
read again at most, and there are few of them however far it reaches.
"""

from array import array
from typing import NamedTuple

import numpy as np
from torch import Tensor

from onward.layers.state import State, map_state, tensors_of
from onward.shapes import Logits

_FEWEST, _GROWTH = 64, 1.25  # moments before a trail is thinned: so many, or so much more than were left
_SPACING = 4  # a moment goes if without it there is a gap of no more than this part of how far back it lies


class Moment(NamedTuple):
    """A moment of a session: symbols fed, the state after them, and the logits of the next (1, 1, V)."""

    position: int
    state: State
    logits: Logits


class History:
    """The moments of a session.

    Args:
        first: the oldest.
        reach: symbols that can be taken back at least.

    Attributes:
        moments: those that are kept, the oldest first.
        ids: symbols since the oldest.
    """

    def __init__(self, first: Moment, reach: int) -> None:
        self.moments, self.ids = [first], array("I")
        self._reach, self._most = reach, _FEWEST

    @property
    def oldest(self) -> int:
        """The position to which it goes back."""
        return self.moments[0].position

    @property
    def megabytes(self) -> float:
        """What the states take, about: as many as there are, each as large as the last one."""
        last = self.moments[-1]
        size = sum(part.nbytes for part in tensors_of(last.state)) + last.logits.nbytes
        return len(self.moments) * size / 2**20

    def copy(self) -> "History":
        """Another that goes on from here by itself."""
        twin = History(self.moments[0], self._reach)
        twin.moments, twin.ids, twin._most = self.moments[:], self.ids[:], self._most
        return twin

    def append(self, ids: np.ndarray, moment: Moment) -> None:
        """Remembers symbols and the moment to which they led."""
        self.ids.frombytes(ids.astype(np.uintc).tobytes())
        self.keep(moment)

    def keep(self, moment: Moment) -> None:
        """Remembers a moment, and forgets those out of reach or too close to another."""
        self.moments.append(moment._replace(state=map_state(_compact, moment.state)))
        oldest = self.oldest
        if len(self.moments) <= max(_FEWEST, self._most) and moment.position - oldest <= 2 * self._reach:
            return
        self.moments = _thinned(self.moments, moment.position - self._reach)
        self._most = int(len(self.moments) * _GROWTH)
        del self.ids[: self.oldest - oldest]

    def back(self, target: int) -> tuple[Moment, np.ndarray]:
        """Goes back to a position: the last moment before it, and the symbols (N,) from there to it."""
        while self.moments[-1].position > target:
            self.moments.pop()
        last, oldest = self.moments[-1], self.oldest
        again = np.array(self.ids[last.position - oldest : target - oldest], np.int64)
        del self.ids[target - oldest :]
        return last, again


def _thinned(moments: list[Moment], reach: int) -> list[Moment]:
    """Those needed to go back to any position from `reach` on by reading a quarter of the way again."""
    now = moments[-1].position
    kept = [moments[-1]]
    for i in range(len(moments) - 2, -1, -1):
        if kept[-1].position <= reach:
            break
        gap = kept[-1].position - moments[max(0, i - 1)].position
        if i == 0 or moments[i].position <= reach or gap * _SPACING > now - kept[-1].position:
            kept.append(moments[i])
    return kept[::-1]


def _compact(part: Tensor) -> Tensor:
    """The same values, without the block that they may be a slice of."""
    return part.clone() if part.untyped_storage().nbytes() > part.nbytes else part
