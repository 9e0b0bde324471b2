"""What a calibration is made from: what is measured of sequences by what was learned from others."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from onward.data.sequences import Sequences
from onward.watch.baselines import GRAMS
from onward.watch.conformal import Calibration, Scheme, calibrate
from onward.watch.grams import Grams
from onward.watch.profile import Profile, counts_of
from onward.watch.scores import LookedUp, Tally, features_of

Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])


class ByGrams(NamedTuple):
    """Scores of n sequences by the n-gram baselines, in the order of `GRAMS`, (n,)."""

    largest: np.ndarray
    mean: np.ndarray


class Calibrated(NamedTuple):
    """The calibration, and the n-gram baselines' scores of the same sequences, sorted."""

    calibration: Calibration
    grams: dict[str, np.ndarray]


class Measured(NamedTuple):
    """What is measured of n sequences, by what was learned from others."""

    tally: Tally
    looked_up: LookedUp
    by_grams: ByGrams

    @classmethod
    def by(cls, read: Tally, profile: Profile, grams: Grams, sequences: Sequences) -> "Measured":
        """What the model makes of sequences, with what lookups and the n-gram do."""
        return cls(read, *looked_up(profile, grams, sequences))

    def where(self, chosen: np.ndarray, other: "Measured") -> "Measured":
        """The other of those that are chosen (n,)."""
        return Measured(
            _where(chosen, other.tally, self.tally),
            _where(chosen, other.looked_up, self.looked_up),
            _where(chosen, other.by_grams, self.by_grams),
        )

    def calibrated(self, scheme: Scheme) -> Calibrated:
        """What comes of it, as in `calibrate`."""
        combining = at(self.tally, slice(len(self.tally.lengths) // 2)) if scheme == "split" else self.tally
        bits_per_event = float(combining.totals.sum() / (combining.lengths + 1).sum())
        features = features_of(self.tally, self.looked_up, bits_per_event)
        grams: dict[str, np.ndarray] = dict(zip(GRAMS, map(np.sort, self.by_grams), strict=True))
        return Calibrated(calibrate(features, bits_per_event, scheme), grams)


def looked_up(profile: Profile, grams: Grams, sequences: Sequences) -> tuple[LookedUp, ByGrams]:
    """What lookups and the n-gram make of sequences, by what occurred in others."""
    distances = profile.nearest(counts_of(sequences, profile.symbols))[0]
    scores = ByGrams(*grams.largest_and_mean(sequences))
    tables = scores.mean * (sequences.lengths + 1)
    return LookedUp(profile.new_in(sequences), tables, distances), scores


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Arrays of several parts, one behind the other."""
    return type(parts[0])(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def at(arrays: Arrays, places: np.ndarray | slice) -> Arrays:
    """The same of some sequences, in that order."""
    return type(arrays)(*(array[places] for array in arrays))


def _where(chosen: np.ndarray, arrays: Arrays, others: Arrays) -> Arrays:
    """Of each sequence (n,) that is chosen the one, of the rest the other."""
    pairs = zip(arrays, others, strict=True)
    return type(arrays)(*(np.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))
