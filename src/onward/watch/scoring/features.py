"""The scores of events, the features of sequences, and the verdict on a sequence.

A detector computes these features when a sequence has ended. END counts as an event.

largest   bits of the most surprising event
mean      mean bits per event
total     total bits above the normal total for this number of events, over the square root of the number
burst     the highest running mean of the bits, over about sixteen events
counts    events missing or extra compared to the nearest normal sequence, over the square root of the number
new       events that never occurred in training, or never directly after the event before them
unseen    `new` divided by the number of events
table     mean bits per event by an n-gram model
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

Feature = Literal["largest", "mean", "total", "burst", "counts", "new", "unseen", "table"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

BURST_WEIGHT = 1 / 16
"""Weight of the current event in the running mean of `burst`."""


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
    """The features of an open sequence that never fall as it goes on.

    Attributes:
        largest: bits of the most surprising event.
        burst: the highest running mean of the bits.
        new: number of new events.
        rank: highest rank of an event.
    """

    largest: float
    burst: float
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
        largest: bits of the most surprising event, (n,).
        bursts: highest running mean of the bits, (n,).
        ranks: highest rank of an event, (n,).
    """

    lengths: np.ndarray
    totals: np.ndarray
    largest: np.ndarray
    bursts: np.ndarray
    ranks: np.ndarray


class LookupScores(NamedTuple):
    """The scores of n sequences by the profile and the n-gram model.

    Attributes:
        new: number of new events, (n,).
        ngram_totals: total bits with END by the n-gram model, (n,).
        distances: distance of the event counts from the nearest normal counts, (n,).
    """

    new: np.ndarray
    ngram_totals: np.ndarray
    distances: np.ndarray


def features_of(by_model: ModelScores, by_lookup: LookupScores, bits_per_event: float) -> np.ndarray:
    """Returns the features of n sequences, (n, 8), in the order of `FEATURES`; higher is less normal.

    Args:
        by_model: the scores of the sequences by the model.
        by_lookup: the scores of the same sequences by lookups.
        bits_per_event: mean surprise of the events of normal sequences.
    """
    events = by_model.lengths + 1.0
    return np.stack(
        [
            by_model.largest,
            by_model.totals / events,
            (by_model.totals - bits_per_event * events) / np.sqrt(events),
            by_model.bursts,
            by_lookup.distances / np.sqrt(events),
            by_lookup.new.astype(np.float64),
            by_lookup.new / events,
            by_lookup.ngram_totals / events,
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
            "events": [event.to_json() for event in self.events],
            "counts": [difference._asdict() for difference in self.counts],
        }
