"""A detector: a model of normal sequences, a profile of what occurred in them, and a calibration."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, InstanceOf

from onward.artefact import Artefact, load, save
from onward.checks import Hint, checked_dataclass
from onward.data.sequences import Sequences
from onward.errors import ArtefactError, InputError
from onward.model import LanguageModel
from onward.printable import shown
from onward.stored import LARGEST, Count, StoredModel, Text, refusing_damage
from onward.watch.calibration.baselines import Baselines
from onward.watch.calibration.conformal import Calibration
from onward.watch.input.format import InputFormat
from onward.watch.input.numbers import StoredNumbers
from onward.watch.scoring.batch import score_sequences
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.features import (
    FEATURES,
    CountDifference,
    EventScore,
    Feature,
    ObservedEvent,
    Peaks,
    SequenceScores,
    Verdict,
)
from onward.watch.scoring.online import OnlineScorer
from onward.watch.scoring.open_sequence import MOST_SURPRISING, OpenSequence
from onward.watch.scoring.profile import Profile, counts_of
from onward.watch.scoring.surprise import Mixture, Surprise

FALSE_ALARMS = 0.001
"""The default rate of false alarms."""

MOST_AT_ONCE = 1024
"""Number of events to observe at once: those of all sequences together."""

Rate = Annotated[float, Field(gt=0, lt=1), Hint("such as 0.001, for 0.1 %")]
TopK = Annotated[int, Field(ge=1), Hint("it is a number of events; leave it out to use the false-alarm rate")]

_RATE_TOLERANCE = 1e-12
_COUNT_TYPE = np.uint16
_LEARN = "make one with `onward watch learn`"
_FORMAT = 4
"""Version of the detector's part of the file."""


class Bounds(NamedTuple):
    """Bounds of the final verdicts on n open sequences.

    Attributes:
        scores: lower bounds of the scores, (n,); 0 with DeepLog's rule.
        p_values: upper bounds of the p-values, (n,).
        main_features: the features that add most to the scores.
    """

    scores: np.ndarray
    p_values: np.ndarray
    main_features: list[Feature | Literal["rank"]]

    def at(self, i: int) -> tuple[float, float, Feature | Literal["rank"]]:
        """Returns the bounds of one sequence."""
        return float(self.scores[i]), float(self.p_values[i]), self.main_features[i]


@checked_dataclass()
class Detector:
    """Flags sequences of events that deviate from the normal sequences that it learned.

    Attributes:
        artefact: the model, and the facts of its training.
        vocabulary: the events that the detector knows.
        profile: what occurred in training.
        mixture: mixes the predictions of the model with those of the n-gram model of `baselines`.
        calibration: the calibration of the p-values.
        baselines: lookup tables and an n-gram model, for comparison.
        rate: the false-alarm rate: the share of normal sequences that may be flagged.
        top_k: DeepLog's rule in place of the calibration: flag a sequence if one of its events is not among
            this many most likely events. With None, the calibration decides.
        source: how records are parsed (see `onward.watch.input.parsers`), and their longest pause.
    """

    artefact: InstanceOf[Artefact]
    vocabulary: InstanceOf[EventVocabulary]
    profile: InstanceOf[Profile]
    mixture: InstanceOf[Mixture]
    calibration: InstanceOf[Calibration]
    baselines: InstanceOf[Baselines]
    rate: Rate = FALSE_ALARMS
    top_k: TopK | None = None
    source: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Detector":
        """Returns the detector in a file.

        Raises:
            ArtefactError: the file is missing, damaged, or a model that is not a detector.
        """
        artefact = load(path)
        if artefact.watch is None:
            raise ArtefactError(f"{path} is a model, but not a detector", hint=_LEARN)
        _check_format(path, artefact.watch)
        with refusing_damage(f"the detector in {path}", _LEARN):
            return cls._from_header(artefact)

    @classmethod
    def _from_header(cls, artefact: Artefact) -> "Detector":
        header, symbols = _DetectorHeader.model_validate(artefact.watch), artefact.model.config.symbols
        vocabulary = EventVocabulary.from_json(header.events)
        if vocabulary.size != symbols:
            raise ValueError(
                f"expected events for a model of {symbols:,} symbols, found events for {vocabulary.size:,}"
            )
        _Facts.model_validate(artefact.facts)
        if header.source:
            _check_source(_Source.model_validate(header.source))
        return cls(
            artefact,
            vocabulary,
            Profile.from_json(header.profile, vocabulary.symbols),
            Mixture.from_json(header.mixture),
            Calibration.from_json(header.calibration),
            Baselines.from_json(header.baselines, vocabulary.symbols),
            header.rate,
            header.top_k,
            header.source,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file in one step; a failure leaves the old file as it was.

        Raises:
            WriteError: the file cannot be written.
        """
        watch = {
            "format": _FORMAT,
            "events": self.vocabulary.to_json(),
            "profile": self.profile.to_json(),
            "mixture": self.mixture.to_json(),
            "calibration": self.calibration.to_json(),
            "baselines": self.baselines.to_json(),
            "rate": self.rate,
            "top_k": self.top_k,
            "source": self.source,
        }
        save(replace(self.artefact, watch=watch), Path(path))

    @property
    def model(self) -> LanguageModel:
        return self.artefact.model

    @property
    def events(self) -> int:
        """The number of events that it has learned, the ENDs included."""
        return self.baselines.events

    def with_rate(self, rate: float | None = None, top_k: int | None = None) -> "Detector":
        """Returns the detector with another false-alarm rate, or with DeepLog's rule.

        Raises:
            InputError: the rate is not between 0 and 1, or `top_k` is below 1.
        """
        if rate is None:
            return replace(self, top_k=self.top_k if top_k is None else top_k)
        return replace(self, rate=rate, top_k=top_k)  # a rate means that the calibration decides

    def open(self) -> OpenSequence:
        """Returns a sequence before its first event."""
        return self._online.open()

    def restore(self, data: bytes) -> OpenSequence:
        """Returns a sequence of this detector from the result of `OpenSequence.to_bytes`.

        Raises:
            InputError: the bytes are not an open sequence, or that of another detector.
        """
        sequence, symbols = OpenSequence.from_bytes(data), self.vocabulary.size + len(self.vocabulary.later)
        largest = max(sequence.pending, *sequence.earlier, *sequence.counts)
        if len(sequence.state) != len(self.open().state) or largest >= symbols:
            raise InputError(
                f"expected a sequence of {symbols:,} symbols, as the detector has, got another one",
                hint="restore the sequence with the detector that observed it",
            )
        return sequence

    def observe(
        self, sequences: Sequence[OpenSequence], runs: Sequence[Sequence[str]]
    ) -> list[list[ObservedEvent]]:
        """Adds the next events to each of several sequences, which must be distinct objects.

        Args:
            sequences: the sequences.
            runs: the next events of each, by name; the same number for all.

        Returns:
            The events of each sequence, with scores that were computed before the model read them.
        """
        return self._online.observe(sequences, runs)

    def close(self, sequences: Sequence[OpenSequence], keys: Sequence[str] | None = None) -> list[Verdict]:
        """Returns the verdicts on sequences as if they ended now. The sequences themselves stay open."""
        ended = [sequence.copy() for sequence in sequences]
        self._online.end(ended)
        largest_count = np.iinfo(_COUNT_TYPE).max
        counts = np.zeros((len(ended), self.vocabulary.symbols), _COUNT_TYPE)
        for row, sequence in zip(counts, ended, strict=True):
            for event, count in sequence.counts.items():
                row[event] = min(count, largest_count)
        distances, nearest = self.profile.nearest(counts)
        scores = SequenceScores(
            np.array([s.length for s in ended]),
            Surprise.join([s.surprise for s in ended]),
            Surprise.join([s.ngram for s in ended]),
            distances,
            np.array([s.new for s in ended]),
        )
        ranks, keys = np.array([s.rank for s in ended]), keys or [""] * len(ended)
        return self._verdicts(scores, ranks, counts, nearest, keys, [s.events for s in ended])

    def bounds(self, peaks: Sequence[Peaks]) -> Bounds:
        """Returns bounds of the final scores and p-values of open sequences.

        The bounds hold if a sequence does not become longer than the longest normal one.

        Args:
            peaks: the peaks of the sequences.
        """
        table = np.array(peaks, float).reshape(-1, len(Peaks._fields))
        found = dict(zip(Peaks._fields, table.T, strict=True))
        if self.top_k:
            p_values = np.where(found["rank"] >= self.top_k, 0.0, 1.0)
            return Bounds(np.zeros(len(peaks)), p_values, ["rank"] * len(peaks))
        least = SequenceScores(
            np.maximum(found["length"], self.baselines.lengths[1]),
            Surprise(found["total"], found["top"][:, None]),
            Surprise(found["ngram_total"], found["ngram_top"][:, None]),
            np.zeros(len(peaks)),
            found["new"],
        )
        combination = self.calibration.combination
        tail_scores = combination.tail_scores(least.features(self.mixture.bits_per_event))
        main_features = [FEATURES[i] for i in combination.main_features(tail_scores).tolist()]
        scores = combination.combine(tail_scores)
        return Bounds(scores, self.calibration.p_values(scores), [*main_features])

    def judge(
        self,
        sequences: Iterable[Sequence[str]],
        keys: Sequence[str] | None = None,
        *,
        repeats: bool = True,
        explain: bool = True,
    ) -> list[Verdict]:
        """Returns the verdicts on whole sequences, in their order.

        Args:
            sequences: the events of each sequence, by name.
            keys: the keys of the sequences; by default "1", "2" and so on.
            repeats: score equal sequences once; with False, each is scored by itself.
            explain: score flagged sequences again, event by event, to name their most surprising events.
        """
        sequences = [*sequences]
        encoded = self.vocabulary.encode(sequences)
        keys = keys or [str(number) for number in range(1, len(encoded) + 1)]
        unseen_words = self.vocabulary.sum_of_unseen_word_shares(sequences, encoded)
        firsts, places = _distinct(encoded, unseen_words) if repeats else (np.arange(len(encoded)),) * 2
        distinct = encoded.take(firsts)
        by_model = score_sequences(self.model, distinct, self.vocabulary)
        by_ngram, lengths = self.baselines.growing_ngrams.score(distinct), distinct.lengths + 1
        mixed = self.mixture.bits(by_model.bits, *by_ngram)
        counts = counts_of(distinct, self.profile.symbols)
        distances, nearest = self.profile.nearest(counts)
        scores = SequenceScores(
            distinct.lengths,
            Surprise.of(mixed, lengths),
            Surprise.of(by_ngram.bits, lengths),
            distances,
            self.profile.count_new(distinct) + unseen_words[firsts],
        )
        verdicts = self._verdicts(scores, by_model.ranks, counts, nearest, [""] * len(distinct))
        if explain:
            flagged = np.array([i for i, verdict in enumerate(verdicts) if verdict.flagged], np.int64)
            events = self._online.most_surprising(distinct.take(flagged))
            for i, most_surprising in zip(flagged, events, strict=True):
                verdicts[i] = replace(verdicts[i], events=most_surprising)
        return [replace(verdicts[place], key=key) for place, key in zip(places.tolist(), keys, strict=True)]

    def learn(self, sequences: Sequence[Sequence[str]], *, ended: bool = True, times: int = 1) -> "Detector":
        """Returns the detector with further normal sequences in its lookup tables and its n-gram model.

        Events that it did not know are known then, as long as there are spare ids for them. The model and the
        calibration stay, and no score rises. The result does not depend on how the sequences are divided into
        calls.

        Args:
            sequences: the events of each sequence, by name.
            ended: whether the last sequence has ended. If not, its END and its counts are not learned.
            times: how often each event counts in the n-gram model.
        """
        if not sequences:
            return self
        vocabulary = self.vocabulary.extend(sequences)
        encoded = vocabulary.encode(sequences)
        return replace(
            self,
            vocabulary=vocabulary,
            profile=self.profile.extend(encoded, ended=ended),
            baselines=self.baselines.extend(encoded, ended=ended, times=times),
        )

    def score_events(self, events: Sequence[str]) -> list[EventScore]:
        """Returns the score of each event of one whole sequence, and of its END."""
        sequence = self.open()
        found: list[EventScore] = []
        for start in range(0, len(events), MOST_AT_ONCE):
            (observed,) = self.observe([sequence], [events[start : start + MOST_AT_ONCE]])
            found += [event.score for event in observed]
        return [*found, self._online.score_end(sequence)]

    def is_flagged(self, p_values: np.ndarray) -> np.ndarray:
        """Whether the calibration flags sequences with these p-values, (n,)."""
        return p_values <= self.rate + _RATE_TOLERANCE

    def _verdicts(
        self,
        scored: SequenceScores,
        ranks: np.ndarray,
        counts: np.ndarray,
        nearest: np.ndarray,
        keys: Sequence[str],
        events: Sequence[tuple[EventScore, ...]] | None = None,
    ) -> list[Verdict]:
        """Returns the verdicts, given the highest rank of an event, (n,), the event counts, (n, V), and the
        indices of the nearest counts of the profile, (n,).
        """
        features = scored.features(self.mixture.bits_per_event)
        combination = self.calibration.combination
        tail_scores = combination.tail_scores(features)
        scores, main_features = combination.combine(tail_scores), combination.main_features(tail_scores)
        p_values = self.calibration.p_values(scores)
        flagged = ranks >= self.top_k if self.top_k else self.is_flagged(p_values)
        return [
            Verdict(
                key=keys[i],
                p_value=float(p_values[i]),
                flagged=bool(flagged[i]),
                score=float(scores[i]),
                features=dict(zip(FEATURES, features[i].tolist(), strict=True)),
                main_feature=FEATURES[main_features[i]],
                length=int(scored.lengths[i]),
                bits_per_event=float(scored.bits_per_event[i]),
                events=events[i] if events else (),
                counts=self._count_differences(counts[i], nearest[i]) if flagged[i] else (),
            )
            for i in range(len(keys))
        ]

    def _count_differences(self, counts: np.ndarray, nearest: np.integer) -> tuple[CountDifference, ...]:
        differences = self.profile.differences(counts, int(nearest), MOST_SURPRISING)
        return tuple(
            CountDifference(self.vocabulary.name(event), found, normal)
            for event, found, normal in differences
        )

    @cached_property
    def _online(self) -> OnlineScorer:
        ngrams = self.baselines.growing_ngrams
        return OnlineScorer(self.model, self.vocabulary, self.profile, ngrams, self.mixture)


def _distinct(sequences: Sequences, unseen_words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the first of all equal sequences, and for each sequence its place among them.

    Args:
        sequences: n sequences.
        unseen_words: sequences are equal only if these are equal too, (n,).
    """
    kinds = np.stack([sequences.distinct()[1], unseen_words], axis=1)
    _, firsts, places = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    return firsts, places.reshape(-1)


class _DetectorHeader(StoredModel):
    """The detector's part of the header; its parts are checked by their own classes."""

    format: Literal[4]
    events: dict[str, Any]
    profile: dict[str, Any]
    mixture: dict[str, Any]
    calibration: dict[str, Any]
    baselines: dict[str, Any]
    rate: Annotated[float, Field(gt=0, lt=1)]
    top_k: Annotated[int, Field(ge=1, le=2**53)] | None
    source: dict[str, Any]


class _Source(StoredModel):
    """The source of a detector that was learned from files."""

    reader: dict[str, Any]
    templates: list[Text] | None
    numbers: StoredNumbers = Field(default_factory=dict)
    measures: StoredNumbers = Field(default_factory=dict)
    longest_pause: Annotated[float, Field(ge=0, le=LARGEST)] | None = None


def _check_source(source: _Source) -> None:
    """Raises InputError or ValueError if lines cannot be parsed by a source."""
    reader = InputFormat.from_json(source.reader)
    if reader.has_templates and source.templates is None:
        raise ValueError("expected the templates of log lines, found none")


class _TrainingData(StoredModel):
    sequences: Count
    symbols: Count


class _CalibrationFacts(StoredModel):
    sequences: Count
    folds: Count | None
    in_order: bool = False


class _Facts(StoredModel):
    """The facts of a detector's training that are used; there are others."""

    model_config = ConfigDict(extra="allow")

    corpus: _TrainingData
    calibration: _CalibrationFacts
    forgiven: tuple[()] | list[str] = ()


def _check_format(path: str | os.PathLike[str], watch: dict[str, Any]) -> None:
    """Refuses a detector of another format version."""
    found = watch.get("format", _FORMAT)
    if found != _FORMAT:
        raise ArtefactError(
            f"the detector in {path} was made by another version: expected format {_FORMAT}, "
            f"found {shown(found)}",
            hint="learn it again with `onward watch learn`, or use the version of onward that made it",
        )
