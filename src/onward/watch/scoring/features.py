"""The scores of events, the features of sequences, and the verdict on a sequence.

A detector computes these features when a sequence has ended. END counts as an event. The bits of an event are
its surprise by the mixture of the model and the n-gram model (see `surprise.py`).

total        total bits above the normal total for this number of events, over the root of the number
mean         mean bits per event
top          mean bits of the four most surprising events
ngram_mean   as `mean`, by the n-gram model alone
ngram_top    as `top`, by the n-gram model alone
counts       events missing or extra compared to the nearest normal sequence, over the root of the number
new          events that never occurred in training, or never directly after the event before them; an event
             that never occurred counts as 1 plus the share of its words that occur in no known event
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from onward.watch.scoring.surprise import Surprise

Feature = Literal["total", "mean", "top", "ngram_mean", "ngram_top", "counts", "new"]
FEATURES: tuple[Feature, ...] = get_args(Feature)


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
        bits: the surprise by the mixture, -log2 of the probability.
        rank: how many events were more likely by the model; 0 for the most likely event.
        expected: the three most likely events by the model.
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
    """What never falls while a sequence goes on.

    Attributes:
        length: number of events.
        total, ngram_total: total bits, by the mixture and by the n-gram model.
        top, ngram_top: the features of these names.
        new: the feature of this name.
        rank: highest rank of an event.
    """

    length: int
    total: float
    top: float
    ngram_total: float
    ngram_top: float
    new: float
    rank: int

    def is_above(self, earlier: "Peaks | None") -> bool:
        """Whether a single event since then was unusual: more surprising than before, or new."""
        if earlier is None:
            return True
        return self.top > earlier.top or self.ngram_top > earlier.ngram_top or self[-2:] != earlier[-2:]


class ObservedEvent(NamedTuple):
    """An event that was added to an open sequence, and the sequence's peaks after it."""

    score: EventScore
    peaks: Peaks


class SequenceScores(NamedTuple):
    """What the features of n sequences are computed from.

    Attributes:
        lengths: number of events without END, (n,).
        surprise: the surprise by the mixture.
        ngram: the surprise by the n-gram model alone.
        distances: distance of the event counts from the nearest normal counts, (n,).
        new: the feature of this name, (n,).
    """

    lengths: np.ndarray
    surprise: Surprise
    ngram: Surprise
    distances: np.ndarray
    new: np.ndarray

    @property
    def bits_per_event(self) -> np.ndarray:
        """Mean surprise of the events of each sequence, (n,)."""
        return self.surprise.totals / (self.lengths + 1)

    def features(self, normal: float) -> np.ndarray:
        """Returns the features, (n, 7), in the order of `FEATURES`; higher is less normal.

        Args:
            normal: mean surprise of the events of normal sequences.
        """
        events = self.lengths + 1.0
        root = np.sqrt(events)
        return np.stack(
            [
                (self.surprise.totals - normal * events) / root,
                self.bits_per_event,
                self.surprise.tops.mean(axis=1),
                self.ngram.totals / events,
                self.ngram.tops.mean(axis=1),
                self.distances / root,
                self.new.astype(np.float64),
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
        bits_per_event: mean surprise of the events.
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
