"""The events that a detector knows, by name."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary

END_NAME = "<end>"


class Alphabet:
    """Names of events and their ids, which begin behind the special ones of every vocabulary.

    The vocabulary of the model calls event 7 "e7", since the name of an event may be any text.

    Attributes:
        names: of the events, in the order of their ids.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._ids = {name: i for i, name in enumerate(self.names, len(SPECIAL))}

    @classmethod
    def of(cls, sequences: Iterable[Iterable[str]]) -> "Alphabet":
        """The events that occur, the commonest first."""
        counts = Counter(event for sequence in sequences for event in sequence)
        return cls(sorted(counts, key=lambda name: (-counts[name], name)))

    @property
    def size(self) -> int:
        """V: the special ids and the events."""
        return len(SPECIAL) + len(self.names)

    @property
    def vocabulary(self) -> Vocabulary:
        """What the model's file says of its ids."""
        return Vocabulary("words", (f"e{i}" for i in range(len(SPECIAL), self.size)))

    def id(self, event: str | int) -> int:
        """The id of an event; of one that is not known that of UNKNOWN."""
        return self._ids.get(str(event), UNKNOWN)

    def name(self, index: int) -> str:
        """What an id stands for."""
        return SPECIAL[index] if index < len(SPECIAL) else self.names[index - len(SPECIAL)]

    def encode(self, sequences: Iterable[Sequence[str]]) -> Sequences:
        """The ids of whole sequences."""
        return Sequences.of(
            np.fromiter(map(self._ids.get, sequence, repeat(UNKNOWN)), np.int64, len(sequence))
            for sequence in sequences
        )
