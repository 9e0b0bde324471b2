"""The events that a detector knows, by name."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, NULL, SPECIAL, UNKNOWN, Vocabulary

END_NAME = "<end>"
MOST_EVENTS = 10_000
"""That a detector tells apart; rarer ones are the unknown one."""


class EventVocabulary:
    """Names of events and their ids, which begin behind the special ones of every vocabulary.

    The vocabulary of the model calls event 7 "e7", since the name of an event may be any text. An alphabet of
    bytes has all of them, as characters of Latin-1.

    Args:
        names: of the events, in the order of their ids; None for bytes.

    Attributes:
        names: as given; those of bytes are the characters.
        is_bytes: whether the events are bytes.
    """

    def __init__(self, names: Iterable[str] | None) -> None:
        self.is_bytes = names is None
        self.names = tuple(chr(byte) for byte in range(1, 256)) if names is None else tuple(names)
        self._ids = {name: i for i, name in enumerate(self.names, len(SPECIAL))}
        if self.is_bytes:
            self._ids["\0"] = NULL

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]]) -> "EventVocabulary":
        """The `MOST_EVENTS` commonest events, the commonest first; one called like the unknown one is it."""
        counts = Counter(event for sequence in sequences for event in sequence)
        del counts[SPECIAL[UNKNOWN]]
        return cls(sorted(counts, key=lambda name: (-counts[name], name))[:MOST_EVENTS])

    @property
    def size(self) -> int:
        """V: the special ids and the events."""
        return len(SPECIAL) + len(self.names)

    @property
    def vocabulary(self) -> Vocabulary:
        """What the model's file says of its ids."""
        if self.is_bytes:
            return Vocabulary.of_bytes()
        return Vocabulary("words", (f"e{i}" for i in range(len(SPECIAL), self.size)))

    @property
    def never(self) -> list[int]:
        """The ids that are never predicted."""
        return [BEGIN] if self.is_bytes else [NULL, BEGIN]

    def id(self, event: str) -> int:
        """The id of an event; of one that is not known that of UNKNOWN."""
        return self._ids.get(event, UNKNOWN)

    def name(self, index: int) -> str:
        """What an id stands for."""
        return SPECIAL[index] if index < len(SPECIAL) else self.names[index - len(SPECIAL)]

    def encode(self, sequences: Iterable[Sequence[str]]) -> Sequences:
        """The ids of whole sequences."""
        return Sequences.of(
            np.fromiter(map(self._ids.get, sequence, repeat(UNKNOWN)), np.int64, len(sequence))
            for sequence in sequences
        )

    def to_json(self) -> list[str] | None:
        """The names as plain values, None for bytes; `Alphabet(...)` undoes it."""
        return None if self.is_bytes else list(self.names)

    @classmethod
    def from_json(cls, data: Any) -> "EventVocabulary":
        """The alphabet that `to_json` wrote.

        Raises:
            ValueError: anything else.
        """
        if data is None or (isinstance(data, list) and all(isinstance(name, str) for name in data)):
            return cls(data)
        raise ValueError("the events of a detector are a list of names")
