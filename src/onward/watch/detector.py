"""A detector: a model of normal sequences, what occurred in them, and the calibration of its alarms."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onward.artefact import Artefact, load, save
from onward.data.sequences import Sequences
from onward.data.vocabulary import END
from onward.errors import ArtefactError, InputError
from onward.inference.prediction import initial_state
from onward.inference.stepper import Stepper
from onward.layers.state import tensors_of, with_tensors
from onward.model import LanguageModel
from onward.watch.alphabet import END_NAME, Alphabet
from onward.watch.baselines import Baselines
from onward.watch.conformal import Calibration
from onward.watch.open_sequence import KEPT, OpenSequence
from onward.watch.profile import Profile
from onward.watch.scores import FEATURES, EventScore, Expected, Tally, Verdict, features_of
from onward.watch.tallies import tally

FALSE_ALARMS = 0.001
"""The rate of false alarms of a detector that is told of none."""

_EXPECTED = 3
_MEASURED = ("length", "total", "largest", "burst", "rank", "new")
_HINT = "make one with `onward watch learn`"


@dataclass(frozen=True)
class Detector:
    """Judges sequences of events: how strange is it, against normal ones that it did not learn from?

    Attributes:
        artefact: the model, and what the file says of it.
        alphabet: the events that it knows.
        profile: what occurred in training.
        calibration: what p-values are ranks among.
        baselines: lookups and an n-gram, for comparison.
        rate: the share of normal sequences that may be flagged.
        top_k: DeepLog's rule in place of the calibration: a sequence is flagged where an event is not among
            this many likeliest; None: the calibration decides.
        source: how records are read, for readers (see `onward.watch.readers`).
    """

    artefact: Artefact
    alphabet: Alphabet
    profile: Profile
    calibration: Calibration
    baselines: Baselines
    rate: float = FALSE_ALARMS
    top_k: int | None = None
    source: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Detector":
        """The detector of a file.

        Raises:
            ArtefactError: it is missing, damaged, or a model that is no detector.
        """
        artefact = load(path)
        if artefact.watch is None:
            raise ArtefactError(f"{path} is a model, but no detector", hint=_HINT)
        watch = artefact.watch
        try:
            detector = cls(
                artefact,
                Alphabet.from_json(watch["events"]),
                Profile.from_json(watch["profile"]),
                Calibration.from_json(watch["calibration"]),
                Baselines.from_json(watch["baselines"]),
                watch["rate"],
                watch["top_k"],
                watch["source"],
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ArtefactError(f"the detector in {path} is damaged: {error!r}", hint=_HINT) from error
        if detector.alphabet.size != artefact.model.config.symbols:
            raise ArtefactError(f"the detector in {path} does not fit its model", hint=_HINT)
        return detector

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all.

        Raises:
            WriteError: the disk refused.
        """
        watch = {
            "events": self.alphabet.to_json(),
            "profile": self.profile.to_json(),
            "calibration": self.calibration.to_json(),
            "baselines": self.baselines.to_json(),
            "rate": self.rate,
            "top_k": self.top_k,
            "source": self.source,
        }
        save(replace(self.artefact, watch=watch), Path(path))

    @property
    def model(self) -> LanguageModel:
        """The network."""
        return self.artefact.model

    def with_rate(self, rate: float | None = None, top_k: int | None = None) -> "Detector":
        """The same with another rate of false alarms, or with DeepLog's rule.

        Raises:
            InputError: a rate that is not between 0 and 1, or no event that may be expected.
        """
        if rate is not None and not 0 < rate < 1:
            raise InputError(f"expected a rate of false alarms between 0 and 1, got {rate}")
        if top_k is not None and top_k < 1:
            raise InputError(f"expected at least 1 event that may be expected, got {top_k}")
        return replace(self, rate=self.rate if rate is None else rate, top_k=top_k or self.top_k)

    def open(self) -> OpenSequence:
        """A sequence before its first event."""
        return OpenSequence(self._initial.copy())

    def observe(self, sequences: Sequence[OpenSequence], events: Sequence[str]) -> list[EventScore]:
        """Reads one event of each of several sequences, all different, which are moved on.

        Returns:
            What each event was found to be, before it was read.
        """
        ids = [self.alphabet.id(str(event)) for event in events]
        scores = self._score(sequences, ids, [str(event) for event in events])
        for sequence, event, score in zip(sequences, ids, scores, strict=True):
            sequence.take(score)
            sequence.pending = event
            sequence.length += 1
            sequence.counts[event] = sequence.counts.get(event, 0) + 1
        return scores

    def close(self, sequences: Sequence[OpenSequence], keys: Sequence[str] | None = None) -> list[Verdict]:
        """Ends sequences, which are left as they are, and says what they came to."""
        ended = [sequence.copy() for sequence in sequences]
        ends = self._score(ended, [END] * len(ended), [END_NAME] * len(ended))
        counts = np.zeros((len(ended), self.alphabet.size), np.uint16)
        for row, sequence, end in zip(counts, ended, ends, strict=True):
            sequence.take(end)
            for event, count in sequence.counts.items():
                row[event] = min(count, 65_535)
        measured = Tally(
            *(np.array([getattr(sequence, name) for sequence in ended]) for name in _MEASURED), counts=counts
        )
        keys = keys or [""] * len(ended)
        return self._verdicts(measured, keys, [sequence.events for sequence in ended])

    def judge(
        self,
        sequences: Iterable[Sequence[str]],
        keys: Sequence[str] | None = None,
        *,
        repeats: bool = True,
        explain: bool = True,
    ) -> list[Verdict]:
        """What whole sequences come to.

        Args:
            sequences: their events, by name.
            keys: of the sequences; by default their numbers from 1.
            repeats: score equal sequences once; False scores each by itself.
            explain: read those that are flagged once more, for the events that tell of them.

        Returns:
            Verdicts in the order of the sequences.
        """
        encoded = self.alphabet.encode(sequences)
        keys = keys or [str(number) for number in range(1, len(encoded) + 1)]
        distinct, places = encoded.distinct() if repeats else (encoded, np.arange(len(encoded)))
        measured = tally(self.model, self.profile, distinct, self.alphabet.never)
        verdicts = self._verdicts(measured, [""] * len(distinct))
        if explain:
            flagged = np.array([i for i, verdict in enumerate(verdicts) if verdict.flagged], np.int64)
            for i, events in zip(flagged, self._explained(distinct.take(flagged)), strict=True):
                verdicts[i] = replace(verdicts[i], events=events)
        return [replace(verdicts[place], key=key) for place, key in zip(places.tolist(), keys, strict=True)]

    def score_events(self, events: Sequence[str]) -> list[EventScore]:
        """What each event of one whole sequence was found to be, and its END."""
        sequence = self.open()
        scores = [self.observe([sequence], [event])[0] for event in events]
        return scores + self._score([sequence], [END], [END_NAME])

    def _verdicts(
        self, measured: Tally, keys: Sequence[str], events: Sequence[tuple[EventScore, ...]] | None = None
    ) -> list[Verdict]:
        """Features, scores and p-values as verdicts."""
        distances, nearest = self.profile.nearest(measured.counts)
        features = features_of(measured, distances, self.calibration.bits_per_event)
        parts = self.calibration.combination.parts(features)
        scores = self.calibration.combination.score(features)
        p_values = self.calibration.p_values(scores)
        flagged = measured.ranks >= self.top_k if self.top_k else p_values <= self.rate + 1e-12
        speaks = parts.argmax(axis=1)
        return [
            Verdict(
                key=keys[i],
                p_value=float(p_values[i]),
                flagged=bool(flagged[i]),
                score=float(scores[i]),
                features=dict(zip(FEATURES, features[i].tolist(), strict=True)),
                speaks=FEATURES[speaks[i]],
                length=int(measured.lengths[i]),
                events=events[i] if events else (),
                counts=self._named(measured.counts[i], nearest[i]) if flagged[i] else (),
            )
            for i in range(len(keys))
        ]

    def _named(self, counts: np.ndarray, nearest: np.integer) -> tuple[tuple[str, int, int], ...]:
        differences = self.profile.differences(counts, int(nearest), KEPT)
        return tuple((self.alphabet.name(event), found, normal) for event, found, normal in differences)

    def _explained(self, sequences: Sequences) -> list[tuple[EventScore, ...]]:
        """The most surprising events of sequences, those that are equal read once, side by side."""
        distinct, places = sequences.distinct()
        ended: list[OpenSequence] = []
        for start in range(0, len(distinct), 256):
            part = [distinct[i] for i in range(start, min(start + 256, len(distinct)))]
            opened = [self.open() for _ in part]
            for position in range(max(map(len, part)) + 1):
                here = [i for i, ids in enumerate(part) if position <= len(ids)]
                ids = [int(part[i][position]) if position < len(part[i]) else END for i in here]
                names = [END_NAME if event == END else self.alphabet.name(event) for event in ids]
                moved = [opened[i] for i in here]
                for sequence, event, score in zip(moved, ids, self._score(moved, ids, names), strict=True):
                    sequence.take(score)
                    sequence.pending, sequence.length = event, sequence.length + 1
            ended += opened
        return [ended[place].events for place in places.tolist()]

    def _score(
        self, sequences: Sequence[OpenSequence], ids: Sequence[int], names: Sequence[str]
    ) -> list[EventScore]:
        """One step: every sequence's pending event is read, and the ids are scored; states are moved on."""
        if not sequences:
            return []
        logits = self._step(sequences)
        logits[:, self.alphabet.never] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        nats = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits
        asked = nats[np.arange(len(ids)), ids]
        ranks = (nats < asked[:, None]).sum(axis=1)
        best = np.argsort(nats, axis=1)[:, :_EXPECTED]
        shares = np.exp(-np.take_along_axis(nats, best, axis=1))
        bits = asked / np.log(2.0)
        name = self.alphabet.name
        return [
            EventScore(
                sequence.length,
                names[i],
                float(bits[i]),
                int(ranks[i]),
                tuple(
                    Expected(name(e), p) for e, p in zip(best[i].tolist(), shares[i].tolist(), strict=True)
                ),
                self.profile.is_new(sequence.pending, ids[i]),
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
        form = initial_state(self.model, 1)
        return Stepper(self.model, form), form, [part[0].numel() for part in tensors_of(form)]

    @cached_property
    def _initial(self) -> np.ndarray:
        form = initial_state(self.model, 1)
        return np.concatenate([part.reshape(-1).numpy() for part in tensors_of(form)]).astype(np.float32)
