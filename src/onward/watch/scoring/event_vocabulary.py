"""The vocabulary of a detector: the names of the events that it knows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, NULL, SPECIAL, UNKNOWN, Vocabulary

END_NAME = "<end>"

MOST_EVENTS = 10_000
"""The largest number of distinct events; rarer events are read as unknown."""


class EventVocabulary:
    """Maps event names to ids, which start after the special ids of every vocabulary.

    The name of an event may be any text, so the vocabulary of the model calls event 7 "e7". If events are
    bytes, the vocabulary always has all 256 of them, as Latin-1 characters.

    Args:
        names: the event names in the order of their ids; None if events are bytes.

    Attributes:
        names: the event names; for bytes, the characters.
        is_bytes: whether events are bytes.
    """

    def __init__(self, names: Iterable[str] | None) -> None:
        self.is_bytes = names is None
        self.names = tuple(chr(byte) for byte in range(1, 256)) if names is None else tuple(names)
        self._ids = {name: i for i, name in enumerate(self.names, len(SPECIAL))}
        if self.is_bytes:
            self._ids["\0"] = NULL

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]]) -> "EventVocabulary":
        """Returns the vocabulary of the `MOST_EVENTS` most frequent events, the most frequent first.

        An event that has the name of the unknown event is treated as unknown.
        """
        counts = Counter(event for sequence in sequences for event in sequence)
        del counts[SPECIAL[UNKNOWN]]
        return cls(sorted(counts, key=lambda name: (-counts[name], name))[:MOST_EVENTS])

    @property
    def size(self) -> int:
        """The number of ids V, special ids included."""
        return len(SPECIAL) + len(self.names)

    @property
    def model_vocabulary(self) -> Vocabulary:
        """The vocabulary that the model file stores."""
        if self.is_bytes:
            return Vocabulary.of_bytes()
        return Vocabulary("words", (f"e{i}" for i in range(len(SPECIAL), self.size)))

    @property
    def excluded(self) -> list[int]:
        """The ids that are never predicted."""
        return [BEGIN] if self.is_bytes else [NULL, BEGIN]

    def id(self, event: str) -> int:
        """Returns the id of an event; UNKNOWN if the vocabulary does not have it."""
        return self._ids.get(event, UNKNOWN)

    def name(self, index: int) -> str:
        """Returns the event name, or the name of the special symbol, of an id."""
        return SPECIAL[index] if index < len(SPECIAL) else self.names[index - len(SPECIAL)]

    def encode(self, sequences: Iterable[Sequence[str]]) -> Sequences:
        return Sequences.of(
            np.fromiter(map(self._ids.get, sequence, repeat(UNKNOWN)), np.int64, len(sequence))
            for sequence in sequences
        )

    def to_json(self) -> list[str] | None:
        return None if self.is_bytes else list(self.names)

    @classmethod
    def from_json(cls, data: Any) -> "EventVocabulary":
        """Returns the vocabulary that `to_json` wrote.

        Raises:
            ValueError: the data is not a list of distinct names, or has too many.
        """
        if data is None:
            return cls(None)
        if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
            raise ValueError("expected the events of a detector to be a list of names, or null for bytes")
        if len(data) > MOST_EVENTS or len(set(data)) != len(data):
            raise ValueError(
                f"expected at most {MOST_EVENTS:,} distinct event names, "
                f"found {len(data):,} names, {len(set(data)):,} of them distinct"
            )
        return cls(data)
