"""Reading of open sequences, event by event: scored first, then read."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.data.vocabulary import END
from onward.inference.prediction import initial_state
from onward.inference.step.stepper import Stepper
from onward.layers.state import tensors_of, with_tensors
from onward.model import LanguageModel
from onward.watch.scoring.event_vocabulary import END_NAME, EventVocabulary
from onward.watch.scoring.features import EventScore, Expected
from onward.watch.scoring.ngram import Grams
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.scoring.profile import Profile

_EXPECTED = 3
_AT_ONCE = 256


class EventReader:
    """Reads one event of each of several sequences in a step.

    Args:
        model: that knows what to expect.
        alphabet: the events that it knows.
        profile: what occurred in training.
        grams: the n-gram of training.
    """

    def __init__(
        self, model: LanguageModel, alphabet: EventVocabulary, profile: Profile, grams: Grams
    ) -> None:
        self._model, self._alphabet, self._profile, self._grams = model, alphabet, profile, grams

    def open(self) -> OpenSequence:
        """A sequence before its first event."""
        return OpenSequence(self._initial.copy())

    def take(
        self, sequences: Sequence[OpenSequence], ids: Sequence[int], names: Sequence[str]
    ) -> list[EventScore]:
        """Scores the next event, or the END, of each of several sequences, and notes it in them."""
        if not sequences:
            return []
        scores = self.score(sequences, ids, names)
        before = np.array([(*sequence.earlier, sequence.pending) for sequence in sequences])
        tables = self._grams.bits_after(before, np.array(ids)).tolist()
        for sequence, score, bits in zip(sequences, scores, tables, strict=True):
            sequence.take(score, bits)
        return scores

    def explained(self, sequences: Sequences) -> list[tuple[EventScore, ...]]:
        """The most surprising events of sequences, those that are equal read once, side by side."""
        distinct, places = sequences.distinct()
        ended: list[OpenSequence] = []
        for start in range(0, len(distinct), _AT_ONCE):
            part = [distinct[i] for i in range(start, min(start + _AT_ONCE, len(distinct)))]
            opened = [self.open() for _ in part]
            for position in range(max(map(len, part)) + 1):
                here = [i for i, ids in enumerate(part) if position <= len(ids)]
                ids = [int(part[i][position]) if position < len(part[i]) else END for i in here]
                names = [END_NAME if event == END else self._alphabet.name(event) for event in ids]
                moved = [opened[i] for i in here]
                self.take(moved, ids, names)
                for sequence, event in zip(moved, ids, strict=True):
                    sequence.move_to(event)
            ended += opened
        return [ended[place].events for place in places.tolist()]

    def score(
        self, sequences: Sequence[OpenSequence], ids: Sequence[int], names: Sequence[str]
    ) -> list[EventScore]:
        """One step: every sequence's pending event is read, and the ids are scored; states are moved on."""
        if not sequences:
            return []
        logits = self._step(sequences)
        logits[:, self._alphabet.never] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        nats = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits
        asked = nats[np.arange(len(ids)), ids]
        ranks = (nats < asked[:, None]).sum(axis=1)
        best = np.argsort(nats, axis=1)[:, :_EXPECTED]
        shares = np.exp(-np.take_along_axis(nats, best, axis=1))
        bits = asked / np.log(2.0)
        name = self._alphabet.name
        return [
            EventScore(
                sequence.length,
                names[i],
                float(bits[i]),
                int(ranks[i]),
                tuple(
                    Expected(name(e), p) for e, p in zip(best[i].tolist(), shares[i].tolist(), strict=True)
                ),
                self._profile.is_new(sequence.pending, ids[i]),
            )
            for i, sequence in enumerate(sequences)
        ]

    def _step(self, sequences: Sequence[OpenSequence]) -> np.ndarray:
        """Logits (B, V) after the pending events, which the states then have read."""
        stepper, form, sizes = self._stepper
        rows = np.stack([sequence.state for sequence in sequences])
        parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
        shapes = [(len(sequences), *part.shape[1:]) for part in tensors_of(form)]
        stepper.state = with_tensors(
            form, iter([torch.from_numpy(p.reshape(s)) for p, s in zip(parts, shapes, strict=True)])
        )
        logits = stepper.step(np.array([sequence.pending for sequence in sequences])).copy()
        after = [part.reshape(len(sequences), -1).numpy() for part in tensors_of(stepper.state)]
        for sequence, row in zip(sequences, np.concatenate(after, axis=1), strict=True):
            sequence.state = row.copy()
        return logits

    @cached_property
    def _stepper(self) -> tuple[Stepper, Any, list[int]]:
        """What moves states on, their form, and the numbers in each of their tensors."""
        form = initial_state(self._model, 1)
        return Stepper(self._model, form), form, [part[0].numel() for part in tensors_of(form)]

    @cached_property
    def _initial(self) -> np.ndarray:
        form = initial_state(self._model, 1)
        return np.concatenate([part.reshape(-1).numpy() for part in tensors_of(form)]).astype(np.float32)
