"""Scores open sequences event by event: the model scores an event before it reads it.

The next events of a sequence may be scored together. The results are the same as one by one, but a long run
of one sequence takes a fraction of the time.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from onward.data.sequences import Sequences
from onward.data.vocabulary import END, UNKNOWN
from onward.inference.prediction import initial_state
from onward.inference.step.sampling import not_finite
from onward.inference.step.stepper import Stepper
from onward.layers.state import tensors_of, with_tensors
from onward.model import LanguageModel
from onward.units import nats_to_bits
from onward.watch.scoring.event_vocabulary import END_NAME, EventVocabulary
from onward.watch.scoring.features import EventScore, Expected, ObservedEvent
from onward.watch.scoring.growing_ngrams import GrowingNgrams
from onward.watch.scoring.ngram import ORDER
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.scoring.profile import Profile
from onward.watch.scoring.surprise import Mixture

_ALTERNATIVES = 3
_BATCH = 256


class OnlineScorer:
    """Scores the next events of several sequences in the same steps of the model.

    Args:
        model: predicts the events.
        vocabulary: the events that the detector knows.
        profile: the profile of the training sequences.
        ngrams: the n-gram model.
        mixture: mixes the predictions of both models.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: EventVocabulary,
        profile: Profile,
        ngrams: GrowingNgrams,
        mixture: Mixture,
    ) -> None:
        self._model, self._vocabulary, self._profile = model, vocabulary, profile
        self._ngrams, self._mixture = ngrams, mixture

    def open(self) -> OpenSequence:
        """Returns a sequence before its first event."""
        return OpenSequence(self._initial_state.copy())

    def observe(
        self, sequences: Sequence[OpenSequence], runs: Sequence[Sequence[str]]
    ) -> list[list[ObservedEvent]]:
        """Adds the next events to each of several sequences, which must be distinct objects.

        Args:
            sequences: B sequences.
            runs: names of the T next events of each of them.

        Returns:
            The T events of each sequence as they were scored.
        """
        if not sequences or not runs[0]:
            return [[] for _ in sequences]
        ids = np.array([[self._vocabulary.id(name) for name in run] for run in runs])
        found = []
        for sequence, row, each in zip(
            sequences, ids.tolist(), self._score(sequences, ids, runs), strict=True
        ):
            events = []
            for event, (score, ngram_bits) in zip(row, each, strict=True):
                unseen_words = self._vocabulary.unseen_word_share(score.event) if event == UNKNOWN else 0.0
                sequence.add(score, ngram_bits, unseen_words)
                sequence.advance(event)
                sequence.counts[event] = sequence.counts.get(event, 0) + 1
                events.append(ObservedEvent(score, sequence.peaks))
            found.append(events)
        return found

    def end(self, sequences: Sequence[OpenSequence]) -> None:
        """Adds the END to sequences, which must be distinct objects."""
        if not sequences:
            return
        ids = np.full((len(sequences), 1), END)
        for sequence, ((score, ngram_bits),) in zip(
            sequences, self._score(sequences, ids, [[END_NAME]] * len(sequences)), strict=True
        ):
            sequence.add(score, ngram_bits)

    def score_end(self, sequence: OpenSequence) -> EventScore:
        """Returns the score of the END of a sequence, if it ended now."""
        (((score, _),),) = self._score([sequence.copy()], np.array([[END]]), [[END_NAME]])
        return score

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
        for position in range(max(map(len, batch), default=0)):
            active = [i for i, ids in enumerate(batch) if position < len(ids)]
            names = [[self._vocabulary.name(int(batch[i][position]))] for i in active]
            self.observe([opened[i] for i in active], names)
        self.end(opened)
        return opened

    def _score(
        self, sequences: Sequence[OpenSequence], ids: np.ndarray, names: Sequence[Sequence[str]]
    ) -> list[list[tuple[EventScore, float]]]:
        """Scores the next events of sequences, and has the model read all of them but the last.

        Only the recurrent states of the sequences change.

        Args:
            sequences: B sequences, at least one.
            ids: the T next events of each, (B, T); the last may be END.
            names: names of these events.

        Returns:
            For each sequence, the scores of its events, and their bits by the n-gram model.

        Raises:
            RunError: the surprise of an id is not a finite number.
        """
        inputs = np.column_stack([[sequence.pending for sequence in sequences], ids[:, :-1]])
        vocabulary, targets = self._vocabulary, self._vocabulary.model_ids(ids.ravel())
        logits = self._read(sequences, vocabulary.model_ids(inputs))
        logits[:, vocabulary.excluded] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        nats = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits
        found = nats[np.arange(ids.size), targets]
        if not np.isfinite(found).all():  # a state that was restored may be damaged
            raise not_finite()
        ranks = (nats < found[:, None]).sum(axis=1).tolist()
        best = np.argsort(nats, axis=1)[:, :_ALTERNATIVES]
        probabilities = np.exp(-np.take_along_axis(nats, best, axis=1)).tolist()
        by_ngram = self._ngrams.score_after(_events_before(sequences, ids), ids.ravel())
        by_model = found.astype(np.float64) * nats_to_bits(1.0)
        bits = self._mixture.bits(by_model, *by_ngram).tolist()
        ngram_bits, best, name = by_ngram.bits.tolist(), best.tolist(), vocabulary.name
        count = ids.shape[1]
        return [
            [
                (
                    EventScore(
                        sequence.length + t,
                        names[i][t],
                        bits[row],
                        ranks[row],
                        tuple(
                            Expected(name(e), p) for e, p in zip(best[row], probabilities[row], strict=True)
                        ),
                        self._profile.is_new(int(inputs[i, t]), int(ids[i, t])),
                    ),
                    ngram_bits[row],
                )
                for t, row in enumerate(range(i * count, (i + 1) * count))
            ]
            for i, sequence in enumerate(sequences)
        ]

    def _read(self, sequences: Sequence[OpenSequence], inputs: np.ndarray) -> np.ndarray:
        """Reads events (B, T), updates the states, and returns the logits after each, (B * T, V)."""
        stepper, form, sizes = self._stepper
        rows = np.stack([sequence.state for sequence in sequences])
        parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
        shapes = [(len(sequences), *part.shape[1:]) for part in tensors_of(form)]
        stepper.state = with_tensors(
            form, iter([torch.from_numpy(p.reshape(s)) for p, s in zip(parts, shapes, strict=True)])
        )
        logits = np.empty((*inputs.shape, self._vocabulary.size), np.float32)
        for t, column in enumerate(inputs.T):
            logits[:, t] = stepper.step(column)
        after = [part.reshape(len(sequences), -1).numpy() for part in tensors_of(stepper.state)]
        for sequence, row in zip(sequences, np.concatenate(after, axis=1), strict=True):
            sequence.state = row.copy()
        return logits.reshape(inputs.size, -1)

    @cached_property
    def _stepper(self) -> tuple[Stepper, Any, list[int]]:
        """The stepper, a model state for one lane, and the number of elements in each of its tensors."""
        form = initial_state(self._model, 1)
        return Stepper(self._model, form), form, [part[0].numel() for part in tensors_of(form)]

    @cached_property
    def _initial_state(self) -> np.ndarray:
        form = initial_state(self._model, 1)
        return np.concatenate([part.reshape(-1).numpy() for part in tensors_of(form)]).astype(np.float32)


def _events_before(sequences: Sequence[OpenSequence], ids: np.ndarray) -> np.ndarray:
    """Returns the ORDER - 1 events before each of the next events (B, T) of sequences, (B * T, ORDER - 1)."""
    read = np.column_stack([[(*sequence.earlier, sequence.pending) for sequence in sequences], ids[:, :-1]])
    before = np.lib.stride_tricks.sliding_window_view(read, ORDER - 1, axis=1)
    return before.reshape(ids.size, -1)
