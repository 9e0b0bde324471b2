"""Finds a key whose records are in two partitions, so that no watch sees its whole sequence.

The open sequences of a partition are looked up in the states of the others. These may belong to other
processes of this machine.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from onward.printable import shown_value
from onward.watch.stream.store import WatchStore

_SECONDS = 5.0
_KEYS = 500
"""Number of keys that are looked up at once."""


class SharedKeys:
    """Looks for shared keys every few seconds, each time in the next pair of states.

    Args:
        stores: the stores of this process, by partition.
        states: the files of the states of all partitions, by partition. They need not exist.
        topic: name of the topic, for the message.
        notify: called once, with a message about the first key that is found.
    """

    def __init__(
        self,
        stores: Mapping[int, WatchStore],
        states: Mapping[int, Path],
        topic: str,
        notify: Callable[[str], None],
    ) -> None:
        self._topic, self._notify, self._stores, self._states = topic, notify, stores, states
        self._pairs = [(own, other) for other in states for own in stores if own != other]
        self._next = 0
        self._looked = time.monotonic()

    def check_next_pair(self) -> None:
        """Looks in one pair of states, if it is time."""
        if self._pairs and time.monotonic() - self._looked >= _SECONDS:
            self._looked = time.monotonic()
            own, other = self._pairs[self._next % len(self._pairs)]
            self._next += 1
            self._compare(own, other)

    def check_all_pairs(self) -> None:
        """Looks in all pairs of states."""
        for own, other in [*self._pairs]:
            if self._pairs:
                self._compare(own, other)

    def _compare(self, own: int, other: int) -> None:
        keys = self._stores[own].some_keys(_KEYS)
        found = _open_key(self._states[other], keys) if keys else None
        if found is not None:
            self._pairs = []
            self._notify(
                f"the key {shown_value(found)} has open sequences in the partitions {own} and {other} of "
                f"{self._topic}, so neither is scored as a whole: let the producers choose the partition of "
                "a message by this key"
            )


def _open_key(state: Path, keys: list[str]) -> str | None:
    """Returns one of the keys that is open in a state; None if none is, or if the state cannot be read."""
    query = f"select key from keys where key in ({', '.join('?' * len(keys))}) limit 1"
    if state.is_file():
        with (
            suppress(sqlite3.DatabaseError),
            closing(sqlite3.connect(f"{state.resolve().as_uri()}?mode=ro", uri=True)) as database,
        ):
            found = database.execute(query, keys).fetchone()
            return found[0] if found else None
    return None
