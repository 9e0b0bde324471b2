"""A detector: a model of normal sequences, what occurred in them, and the calibration of its alarms."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onward.artefact import Artefact, load, save
from onward.data.vocabulary import END
from onward.errors import ArtefactError, InputError
from onward.model import LanguageModel
from onward.watch.calibration.baselines import Baselines
from onward.watch.calibration.conformal import Calibration
from onward.watch.scoring.batch import tally
from onward.watch.scoring.event_vocabulary import END_NAME, EventVocabulary
from onward.watch.scoring.features import FEATURES, EventScore, Feature, LookedUp, Tally, Verdict, features_of
from onward.watch.scoring.online import EventReader
from onward.watch.scoring.open_sequence import KEPT, OpenSequence
from onward.watch.scoring.profile import Profile, counts_of

FALSE_ALARMS = 0.001
"""The rate of false alarms of a detector that is told of none."""

_READ = ("length", "total", "largest", "burst", "rank")
"""Of an open sequence, in the order of `Tally`."""

_GROWING: tuple[Feature, ...] = ("largest", "burst", "new")
"""Features that never fall as a sequence goes on."""

_HINT = "make one with `onward watch learn`"
_FORMAT = 2
"""Of what a file holds of a detector. 1: six features, and their sum."""


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
        source: how records are read, for readers (see `onward.watch.input.parsers`).
    """

    artefact: Artefact
    alphabet: EventVocabulary
    profile: Profile
    calibration: Calibration
    baselines: Baselines
    rate: float = FALSE_ALARMS
    top_k: int | None = None
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what nothing can be flagged by."""
        check_rule(self.rate, self.top_k)

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
            _check_format(path, watch)
            detector = cls(
                artefact,
                EventVocabulary.from_json(watch["events"]),
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
            "format": _FORMAT,
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
            InputError: see `check_rule`.
        """
        if rate is None:
            return replace(self, top_k=self.top_k if top_k is None else top_k)
        return replace(self, rate=rate, top_k=top_k)  # a rate is of the calibration

    def open(self) -> OpenSequence:
        """A sequence before its first event."""
        return self._reader.open()

    def observe(self, sequences: Sequence[OpenSequence], events: Sequence[str]) -> list[EventScore]:
        """Reads one event of each of several sequences, all different, which are moved on.

        Returns:
            What each event was found to be, before it was read.
        """
        ids = [self.alphabet.id(str(event)) for event in events]
        scores = self._reader.take(sequences, ids, [str(event) for event in events])
        for sequence, event in zip(sequences, ids, strict=True):
            sequence.move_to(event)
            sequence.counts[event] = sequence.counts.get(event, 0) + 1
        return scores

    def close(self, sequences: Sequence[OpenSequence], keys: Sequence[str] | None = None) -> list[Verdict]:
        """Ends sequences, which are left as they are, and says what they came to."""
        ended = [sequence.copy() for sequence in sequences]
        self._reader.take(ended, [END] * len(ended), [END_NAME] * len(ended))
        counts = np.zeros((len(ended), self.alphabet.size), np.uint16)
        for row, sequence in zip(counts, ended, strict=True):
            for event, count in sequence.counts.items():
                row[event] = min(count, 65_535)
        read = Tally(*(np.array([getattr(sequence, name) for sequence in ended]) for name in _READ))
        new, tables = (np.array([getattr(sequence, name) for sequence in ended]) for name in ("new", "table"))
        keys = keys or [""] * len(ended)
        return self._verdicts(read, new, tables, counts, keys, [sequence.events for sequence in ended])

    def bounds(self, sequences: Sequence[OpenSequence]) -> tuple[np.ndarray, list[Feature | Literal["rank"]]]:
        """What the p-value at the end of each sequence cannot be above, and the feature that says so."""
        if self.top_k:
            beyond = np.array([sequence.rank >= self.top_k for sequence in sequences])
            return np.where(beyond, 0.0, 1.0), ["rank"] * len(sequences)
        known = [FEATURES.index(name) for name in _GROWING]
        combination = self.calibration.combination
        values = [np.array([getattr(s, name) for s in sequences], float) for name in _GROWING]
        parts = [combination.tails[place].score(found) for place, found in zip(known, values, strict=True)]
        rows = np.stack(parts, 1)
        p_values = self.calibration.p_values(combination.least(rows, known))
        return p_values, [FEATURES[i] for i in combination.speaks(rows, known).tolist()]

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
        read = tally(self.model, distinct, self.alphabet.never)
        new, tables = self.profile.new_in(distinct), self.baselines.grams.totals(distinct)
        counts = counts_of(distinct, self.profile.symbols)
        verdicts = self._verdicts(read, new, tables, counts, [""] * len(distinct))
        if explain:
            flagged = np.array([i for i, verdict in enumerate(verdicts) if verdict.flagged], np.int64)
            for i, events in zip(flagged, self._reader.explained(distinct.take(flagged)), strict=True):
                verdicts[i] = replace(verdicts[i], events=events)
        return [replace(verdicts[place], key=key) for place, key in zip(places.tolist(), keys, strict=True)]

    def score_events(self, events: Sequence[str]) -> list[EventScore]:
        """What each event of one whole sequence was found to be, and its END."""
        sequence = self.open()
        scores = [self.observe([sequence], [event])[0] for event in events]
        return scores + self._reader.score([sequence], [END], [END_NAME])

    def _verdicts(
        self,
        read: Tally,
        new: np.ndarray,
        tables: np.ndarray,
        counts: np.ndarray,
        keys: Sequence[str],
        events: Sequence[tuple[EventScore, ...]] | None = None,
    ) -> list[Verdict]:
        """Features, scores and p-values as verdicts; `new` and `tables` as in `LookedUp`, counts (n, V)."""
        distances, nearest = self.profile.nearest(counts)
        features = features_of(read, LookedUp(new, tables, distances), self.calibration.bits_per_event)
        combination = self.calibration.combination
        scores, speaks = combination.score(features), combination.speaks(combination.parts(features))
        p_values = self.calibration.p_values(scores)
        flagged = read.ranks >= self.top_k if self.top_k else p_values <= self.rate + 1e-12
        return [
            Verdict(
                key=keys[i],
                p_value=float(p_values[i]),
                flagged=bool(flagged[i]),
                score=float(scores[i]),
                features=dict(zip(FEATURES, features[i].tolist(), strict=True)),
                speaks=FEATURES[speaks[i]],
                length=int(read.lengths[i]),
                events=events[i] if events else (),
                counts=self._named(counts[i], nearest[i]) if flagged[i] else (),
            )
            for i in range(len(keys))
        ]

    def _named(self, counts: np.ndarray, nearest: np.integer) -> tuple[tuple[str, int, int], ...]:
        differences = self.profile.differences(counts, int(nearest), KEPT)
        return tuple((self.alphabet.name(event), found, normal) for event, found, normal in differences)

    @cached_property
    def _reader(self) -> EventReader:
        return EventReader(self.model, self.alphabet, self.profile, self.baselines.grams)


def check_rule(rate: float, top_k: int | None) -> None:
    """Refuses what no sequence, or every one, would be flagged by.

    Raises:
        InputError: a rate that is not between 0 and 1, or no event that may be expected.
    """
    if not 0 < rate < 1:
        raise InputError(
            f"expected a rate of false alarms between 0 and 1, got {rate}", hint="such as 0.001, for 0.1 %"
        )
    if top_k is not None and top_k < 1:
        raise InputError(
            f"expected 1 or more events that may be expected, got {top_k}",
            hint="--top-k takes their number; without it the rate of false alarms decides",
        )


def _check_format(path: str | os.PathLike[str], watch: dict[str, Any]) -> None:
    """Refuses a detector of another version."""
    guessed = _FORMAT if "sums" in watch["calibration"] else 1  # before formats were numbered
    found = watch.get("format", guessed)
    if found != _FORMAT:
        age = "an earlier" if found == 1 else "another"
        raise ArtefactError(
            f"the detector in {path} was made by {age} version: expected format {_FORMAT}, got {found}",
            hint="learn it again with `onward watch learn`, or use the version of onward that made it",
        )
