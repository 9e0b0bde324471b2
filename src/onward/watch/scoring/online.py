"""Scores open sequences event by event: the model scores an event before it reads it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.data.vocabulary import END
from onward.inference.prediction import initial_state
from onward.inference.step.sampling import not_finite
from onward.inference.step.stepper import Stepper
from onward.layers.state import tensors_of, with_tensors
from onward.model import LanguageModel
from onward.watch.scoring.event_vocabulary import END_NAME, EventVocabulary
from onward.watch.scoring.features import EventScore, Expected
from onward.watch.scoring.ngram import NgramModel
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.scoring.profile import Profile

_ALTERNATIVES = 3
_BATCH = 256


class OnlineScorer:
    """Scores one event of each of several sequences in one step of the model.

    Args:
        model: predicts the events.
        vocabulary: the events that the detector knows.
        profile: the profile of the training sequences.
        ngrams: the n-gram model of the training sequences.
    """

    def __init__(
        self, model: LanguageModel, vocabulary: EventVocabulary, profile: Profile, ngrams: NgramModel
    ) -> None:
        self._model, self._vocabulary, self._profile, self._ngrams = model, vocabulary, profile, ngrams

    def open(self) -> OpenSequence:
        """Returns a sequence before its first event."""
        return OpenSequence(self._initial_state.copy())

    def add(
        self, sequences: Sequence[OpenSequence], ids: Sequence[int], names: Sequence[str]
    ) -> list[EventScore]:
        """Scores the next event, or the END, of each sequence and adds the scores to the sequences.

        The sequences must be distinct objects. They do not advance: call `OpenSequence.advance` for that.
        """
        if not sequences:
            return []
        scores = self.score(sequences, ids, names)
        before = np.array([(*sequence.earlier, sequence.pending) for sequence in sequences])
        ngram_bits = self._ngrams.bits_after(before, np.array(ids)).tolist()
        for sequence, score, bits in zip(sequences, scores, ngram_bits, strict=True):
            sequence.add(score, bits)
        return scores

    def most_surprising(self, sequences: Sequences) -> list[tuple[EventScore, ...]]:
        """Returns the most surprising events of whole sequences. Equal sequences are scored once."""
        distinct, places = sequences.distinct()
        ended: list[OpenSequence] = []
        for start in range(0, len(distinct), _BATCH):
            ended += self._score_whole(
                [distinct[i] for i in range(start, min(start + _BATCH, len(distinct)))]
            )
        return [ended[place].events for place in places.tolist()]

    def _score_whole(self, batch: Sequence[np.ndarray]) -> list[OpenSequence]:
        opened = [self.open() for _ in batch]
        for position in range(max(map(len, batch)) + 1):
            active = [i for i, ids in enumerate(batch) if position <= len(ids)]
            ids = [int(batch[i][position]) if position < len(batch[i]) else END for i in active]
            names = [END_NAME if event == END else self._vocabulary.name(event) for event in ids]
            sequences = [opened[i] for i in active]
            self.add(sequences, ids, names)
            for sequence, event in zip(sequences, ids, strict=True):
                sequence.advance(event)
        return opened

    def score(
        self, sequences: Sequence[OpenSequence], ids: Sequence[int], names: Sequence[str]
    ) -> list[EventScore]:
        """Has the model read the pending event of each sequence, and scores the ids that come next.

        Only the recurrent states of the sequences change.

        Raises:
            RunError: the surprise of an id is not a finite number.
        """
        if not sequences:
            return []
        logits = self._step(sequences)
        logits[:, self._vocabulary.excluded] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        nats = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits
        found = nats[np.arange(len(ids)), ids]
        if not np.isfinite(found).all():  # a state that was restored may be damaged
            raise not_finite()
        ranks = (nats < found[:, None]).sum(axis=1)
        best = np.argsort(nats, axis=1)[:, :_ALTERNATIVES]
        probabilities = np.exp(-np.take_along_axis(nats, best, axis=1))
        bits = found / np.log(2.0)
        name = self._vocabulary.name
        return [
            EventScore(
                sequence.length,
                names[i],
                float(bits[i]),
                int(ranks[i]),
                tuple(
                    Expected(name(e), p)
                    for e, p in zip(best[i].tolist(), probabilities[i].tolist(), strict=True)
                ),
                self._profile.is_new(sequence.pending, ids[i]),
            )
            for i, sequence in enumerate(sequences)
        ]

    def _step(self, sequences: Sequence[OpenSequence]) -> np.ndarray:
        """Reads the pending events, updates the states, and returns the logits (B, V)."""
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
        """The stepper, a model state for one lane, and the number of elements in each of its tensors."""
        form = initial_state(self._model, 1)
        return Stepper(self._model, form), form, [part[0].numel() for part in tensors_of(form)]

    @cached_property
    def _initial_state(self) -> np.ndarray:
        form = initial_state(self._model, 1)
        return np.concatenate([part.reshape(-1).numpy() for part in tensors_of(form)]).astype(np.float32)
