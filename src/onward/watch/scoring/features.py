"""The scores of events, the features of sequences, and the verdict on a sequence.

A detector computes these features when a sequence has ended. END counts as an event. Two predictors give bits
to each event: the model, and an n-gram model. For each predictor, one feature is about the whole sequence,
and one about its few most surprising events.

total         total bits above the normal total for this number of events, over the root of the number
top           mean bits of the four most surprising events
ngram_total   as `total`, by the n-gram model
ngram_top     as `top`, by the n-gram model
counts        events missing or extra compared to the nearest normal sequence, over the root of the number
new           events that never occurred in training, or never directly after the event before them
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from onward.watch.scoring.surprise import Surprise

Feature = Literal["total", "top", "ngram_total", "ngram_top", "counts", "new"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

MONOTONIC: tuple[Feature, ...] = ("top", "ngram_top", "new")
"""The features that never decrease while a sequence continues."""


class Expected(NamedTuple):
    """A likely event and its probability."""

    event: str
    probability: float


@dataclass(frozen=True)
class EventScore:
    """The score of one event, computed before the model read the event.

    Attributes:
        position: the position in the sequence, from 0.
        event: the name of the event; "<end>" for the end of the sequence.
        bits: the surprise, -log2 of the probability.
        rank: how many events were more likely; 0 for the most likely event.
        expected: the three most likely events.
        new: whether the event never occurred in training, or never directly after the event before it.
    """

    position: int
    event: str
    bits: float
    rank: int
    expected: tuple[Expected, ...]
    new: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "event": self.event,
            "bits": self.bits,
            "rank": self.rank,
            "expected": [alternative._asdict() for alternative in self.expected],
            "new": self.new,
        }


class Peaks(NamedTuple):
    """The features of an open sequence that never fall as it goes on, and the highest rank of an event."""

    top: float
    ngram_top: float
    new: int
    rank: int


class ObservedEvent(NamedTuple):
    """An event that was added to an open sequence, and the sequence's peaks after it."""

    score: EventScore
    peaks: Peaks


class ModelScores(NamedTuple):
    """The scores of n sequences by the model.

    Attributes:
        lengths: number of events without END, (n,).
        totals: total bits with END, (n,).
        tops: mean bits of the TOP most surprising events, (n,).
        ranks: highest rank of an event, (n,).
    """

    lengths: np.ndarray
    totals: np.ndarray
    tops: np.ndarray
    ranks: np.ndarray


class LookupScores(NamedTuple):
    """The scores of n sequences by the profile and the n-gram model.

    Attributes:
        new: number of new events, (n,).
        totals: total bits with END by the n-gram model, (n,).
        tops: mean bits of the TOP most surprising events by the n-gram model, (n,).
        distances: distance of the event counts from the nearest normal counts, (n,).
    """

    new: np.ndarray
    totals: np.ndarray
    tops: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(cls, new: np.ndarray, surprise: Surprise, distances: np.ndarray) -> "LookupScores":
        return cls(new, surprise.totals, surprise.tops.mean(axis=1), distances)


class BitsPerEvent(NamedTuple):
    """Mean surprise of the events of normal sequences, by the model and by the n-gram model."""

    model: float
    ngram: float

    @classmethod
    def of(cls, by_model: ModelScores, by_lookup: LookupScores) -> "BitsPerEvent":
        events = by_model.lengths.sum() + len(by_model.lengths)
        return cls(float(by_model.totals.sum() / events), float(by_lookup.totals.sum() / events))


def features_of(by_model: ModelScores, by_lookup: LookupScores, normal: BitsPerEvent) -> np.ndarray:
    """Returns the features of n sequences, (n, 6), in the order of `FEATURES`; higher is less normal.

    Args:
        by_model: the scores of the sequences by the model.
        by_lookup: the scores of the same sequences by lookups.
        normal: mean surprise of the events of normal sequences.
    """
    events = by_model.lengths + 1.0
    root = np.sqrt(events)
    return np.stack(
        [
            (by_model.totals - normal.model * events) / root,
            by_model.tops,
            (by_lookup.totals - normal.ngram * events) / root,
            by_lookup.tops,
            by_lookup.distances / root,
            by_lookup.new.astype(np.float64),
        ],
        axis=1,
    )


class CountDifference(NamedTuple):
    """An event whose number differs from the number in the nearest normal sequence."""

    event: str
    found: int
    normal: int


@dataclass(frozen=True)
class Verdict:
    """The result for one sequence.

    Attributes:
        key: the key of the sequence.
        p_value: estimated share of normal sequences that are at least as unusual.
        flagged: whether the detector flags the sequence.
        score: the number that the p-value ranks; higher is more unusual, and ties are rare.
        features: the features by name (see the module).
        main_feature: the feature that adds most to the score. Its name in JSON is "speaks".
        length: number of events.
        bits_per_event: mean surprise of the events by the model.
        events: the most surprising events, the most surprising first. If the sequence is not flagged, they
            are present only if it was read event by event.
        counts: the events whose numbers differ most from the nearest normal sequence.
    """

    key: str
    p_value: float
    flagged: bool
    score: float
    features: dict[str, float]
    main_feature: Feature
    length: int
    bits_per_event: float
    events: tuple[EventScore, ...] = ()
    counts: tuple[CountDifference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "p_value": self.p_value,
            "flagged": self.flagged,
            "score": self.score,
            "features": self.features,
            "speaks": self.main_feature,
            "length": self.length,
            "bits_per_event": self.bits_per_event,
            "events": [event.to_json() for event in self.events],
            "counts": [difference._asdict() for difference in self.counts],
        }
