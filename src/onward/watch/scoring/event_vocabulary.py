"""The vocabulary of a detector: the names of the events that it knows.

The model has an id for each event that it was trained on. A detector can learn further events without it: the
lookup tables and the n-gram model have spare ids for these. To the model they are the unknown event.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, NULL, SPECIAL, UNKNOWN, Vocabulary
from onward.stored import StoredModel, Text
from onward.watch.input.masks import MASK

END_NAME = "<end>"

MOST_EVENTS = 10_000
"""The largest number of distinct events; rarer events are read as unknown."""

MOST_LATER = 256
"""The largest number of events that are learned after the training of the model."""

_WORD = re.compile(rf"{re.escape(MASK)}|[^\W_]+")


class EventVocabulary:
    """Maps event names to ids, which start after the special ids of every vocabulary.

    The name of an event may be any text, so the vocabulary of the model calls event 7 "e7". If events are
    bytes, the vocabulary always has all 256 of them, as Latin-1 characters.

    Args:
        names: the events that the model was trained on, in the order of their ids; None if events are bytes.
        later: the events that were learned afterwards, in the order of their ids.

    Attributes:
        names: the names of all events in the order of their ids; for bytes, the characters.
        later: as given.
        is_bytes: whether events are bytes.
    """

    def __init__(self, names: Iterable[str] | None, later: Iterable[str] = ()) -> None:
        self.is_bytes, self.later = names is None, tuple(later)
        trained = tuple(chr(byte) for byte in range(1, 256)) if names is None else tuple(names)
        self.names = trained + self.later
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

    def extend(self, sequences: Iterable[Sequence[str]]) -> "EventVocabulary":
        """Returns the vocabulary with the events of further sequences, as long as there are spare ids."""
        if self.is_bytes:
            return self
        events = dict.fromkeys(event for sequence in sequences for event in sequence)
        new = [event for event in events if event not in self._ids and event != SPECIAL[UNKNOWN]]
        new = new[: MOST_LATER - len(self.later)]
        return EventVocabulary(self.names[: self.size - len(SPECIAL)], (*self.later, *new)) if new else self

    @property
    def size(self) -> int:
        """The number of ids of the model V, special ids included."""
        return len(SPECIAL) + len(self.names) - len(self.later)

    @property
    def symbols(self) -> int:
        """The number of ids of lookup tables and n-grams S: V and the spare ids."""
        return self.size if self.is_bytes else self.size + MOST_LATER

    def model_ids(self, ids: np.ndarray) -> np.ndarray:
        """Returns ids as the model reads them: UNKNOWN for an event that it was not trained on."""
        return np.where(ids < self.size, ids, UNKNOWN) if self.later else ids

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

    def unseen_word_share(self, event: str) -> float:
        """Returns the share of the words of an event that no known event has; 0 for a known event.

        The variable parts of a template count as words that are known. The share ranks events that
        are all unknown alike.
        """
        return 0.0 if event in self._ids or self.is_bytes else _unseen_share(_words_of(event), self._words)

    def sum_of_unseen_word_shares(self, sequences: Sequence[Sequence[str]], encoded: Sequences) -> np.ndarray:
        """Returns the sum of `unseen_word_share` over the events of each sequence, (n,).

        Args:
            sequences: the events of n sequences, by name.
            encoded: the same sequences as ids.
        """
        owners = np.repeat(np.arange(len(encoded)), encoded.lengths)
        totals = np.zeros(len(encoded))
        for i in map(int, np.unique(owners[encoded.ids == UNKNOWN])):
            totals[i] = sum(map(self.unseen_word_share, sequences[i]))
        return totals

    def unseen_word_shares(self, known: np.ndarray) -> np.ndarray:
        """Returns `unseen_word_share` of the events as if only some of them were known.

        Args:
            known: for each id whether it is known, (V,).

        Returns:
            The share for each id, (V,); 0 for the special ids.
        """
        found = np.zeros(len(known))
        words = [_words_of(name) for name in self.names]
        seen = {word for i, each in enumerate(words, len(SPECIAL)) if known[i] for word in each}
        for i, each in enumerate(words, len(SPECIAL)):
            if not known[i]:
                found[i] = _unseen_share(each, seen)
        return found

    @cached_property
    def _words(self) -> set[str]:
        return {word for name in self.names for word in _words_of(name)}

    def encode(self, sequences: Iterable[Sequence[str]]) -> Sequences:
        return Sequences.of(
            np.fromiter(map(self._ids.get, sequence, repeat(UNKNOWN)), np.int64, len(sequence))
            for sequence in sequences
        )

    def to_json(self) -> dict[str, list[str] | None]:
        trained = None if self.is_bytes else list(self.names[: self.size - len(SPECIAL)])
        return {"names": trained, "later": list(self.later)}

    @classmethod
    def from_json(cls, data: Any) -> "EventVocabulary":
        """Returns the vocabulary that `to_json` wrote.

        Raises:
            ValueError: the data does not have distinct names, or too many.
        """
        header = _VocabularyHeader.model_validate(data)
        if header.names is None:
            if header.later:
                raise ValueError("expected no later events, because the events are bytes")
            return cls(None)
        names = header.names + header.later
        if len(set(names)) != len(names):
            raise ValueError(f"expected distinct event names, found {len(set(names)):,} of {len(names):,}")
        return cls(header.names, header.later)


class _VocabularyHeader(StoredModel):
    names: Annotated[list[Text], Field(max_length=MOST_EVENTS)] | None
    later: Annotated[list[Text], Field(max_length=MOST_LATER)]


def _words_of(event: str) -> list[str]:
    return _WORD.findall(event)


def _unseen_share(words: list[str], seen: set[str]) -> float:
    return sum(word not in seen and word != MASK for word in words) / len(words) if words else 0.0
