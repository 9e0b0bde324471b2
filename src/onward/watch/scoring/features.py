"""Scores: what is measured of an event, and of a sequence when it has ended.

largest   bits of the most surprising event, END among them
mean      bits of all events, END among them, divided by their number
total     bits beyond what so many events have in normal sequences, divided by the root of their number
burst     the highest that a running mean over about sixteen events came to
counts    events too many or missing against the nearest normal sequence, over the root of the length
new       events that never occurred, or never behind the event before them
unseen    the same, divided by the number of events
table     bits by an n-gram of all events, END among them, divided by their number
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

Feature = Literal["largest", "mean", "total", "burst", "counts", "new", "unseen", "table"]
FEATURES: tuple[Feature, ...] = get_args(Feature)
BURST = 1 / 16
"""Weight of the present event in the running mean."""


class Expected(NamedTuple):
    """An alternative: the name of an event, and the probability it had."""

    event: str
    probability: float


@dataclass(frozen=True)
class EventScore:
    """What is known of one event, all of it computed before the event was read.

    Attributes:
        position: of the event in its sequence, from 0.
        event: its name; "<end>" for the end of the sequence.
        bits: its surprise, -log2 of its probability.
        rank: how many events were likelier; 0 is the one that was expected.
        expected: the three likeliest.
        new: whether it never occurred in training, or never behind the event before it.
    """

    position: int
    event: str
    bits: float
    rank: int
    expected: tuple[Expected, ...]
    new: bool

    def to_json(self) -> dict[str, Any]:
        """The score as plain values."""
        return {
            "position": self.position,
            "event": self.event,
            "bits": self.bits,
            "rank": self.rank,
            "expected": [alternative._asdict() for alternative in self.expected],
            "new": self.new,
        }


class Tally(NamedTuple):
    """What the model makes of n sequences.

    Attributes:
        lengths: events without END, (n,).
        totals: bits of all events with END, (n,).
        largest: bits of the most surprising one, (n,).
        bursts: as above, (n,).
        ranks: the highest rank of an event, (n,).
    """

    lengths: np.ndarray
    totals: np.ndarray
    largest: np.ndarray
    bursts: np.ndarray
    ranks: np.ndarray


class LookedUp(NamedTuple):
    """What lookups and the n-gram make of n sequences.

    Attributes:
        new: as above, (n,).
        tables: bits of all events by the n-gram, with END, (n,).
        distances: of the counts from the nearest normal ones, (n,).
    """

    new: np.ndarray
    tables: np.ndarray
    distances: np.ndarray


def features_of(tally: Tally, looked_up: LookedUp, bits_per_event: float) -> np.ndarray:
    """The features of sequences, (n, 8) in the order of `FEATURES`; higher is less normal.

    Args:
        tally: of the sequences.
        looked_up: of the same.
        bits_per_event: the mean of normal sequences.
    """
    events = tally.lengths + 1.0
    return np.stack(
        [
            tally.largest,
            tally.totals / events,
            (tally.totals - bits_per_event * events) / np.sqrt(events),
            tally.bursts,
            looked_up.distances / np.sqrt(events),
            looked_up.new.astype(np.float64),
            looked_up.new / events,
            looked_up.tables / events,
        ],
        axis=1,
    )


@dataclass(frozen=True)
class Verdict:
    """What a sequence came to.

    Attributes:
        key: of the sequence.
        p_value: share of normal sequences that are at least as strange, as far as the calibration can tell.
        flagged: whether that is at most the rate of false alarms that was asked for.
        score: what the p-value is the rank of; higher is stranger, and it has no ties to speak of.
        features: of the sequence, by name (see `scores`).
        speaks: the feature that adds most to the score.
        length: events of the sequence.
        events: its most surprising events, the most surprising first; of a sequence that is not flagged
            only where they were kept as it was read.
        counts: events whose number differs from the nearest normal sequence: (event, found, normal).
    """

    key: str
    p_value: float
    flagged: bool
    score: float
    features: dict[str, float]
    speaks: Feature
    length: int
    events: tuple[EventScore, ...] = ()
    counts: tuple[tuple[str, int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {
            "key": self.key,
            "p_value": self.p_value,
            "flagged": self.flagged,
            "score": self.score,
            "features": self.features,
            "speaks": self.speaks,
            "length": self.length,
            "events": [event.to_json() for event in self.events],
            "counts": [{"event": e, "found": found, "normal": normal} for e, found, normal in self.counts],
        }
