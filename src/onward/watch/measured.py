"""What a calibration is made from: what is measured of sequences by what was learned from others."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from onward.data.sequences import Sequences
from onward.model import LanguageModel
from onward.watch.baselines import GRAMS, gram_scores
from onward.watch.conformal import Calibration, Scheme, calibrate
from onward.watch.grams import Grams
from onward.watch.profile import Profile, counts_of
from onward.watch.scores import Tally, features_of
from onward.watch.tallies import tally

Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])


class LookedUp(NamedTuple):
    """What lookups and the n-gram say of n sequences.

    Attributes:
        new, tables: as in `Tally`, (n,).
        distances: of the counts from the nearest that occurred, (n,).
        largest, mean: scores by the n-gram baselines, in the order of `GRAMS`, (n,).
    """

    new: np.ndarray
    tables: np.ndarray
    distances: np.ndarray
    largest: np.ndarray
    mean: np.ndarray

    @classmethod
    def by(cls, profile: Profile, grams: Grams, sequences: Sequences) -> "LookedUp":
        """Of sequences, by what occurred in others."""
        distances = profile.nearest(counts_of(sequences, profile.symbols))[0]
        scores = gram_scores(grams, sequences)
        return cls(profile.new_in(sequences), grams.totals(sequences), distances, *scores.values())


class Calibrated(NamedTuple):
    """The calibration, and the n-gram baselines' scores of the same sequences, sorted."""

    calibration: Calibration
    grams: dict[str, np.ndarray]


class Measured(NamedTuple):
    """What is measured of n sequences."""

    tally: Tally
    looked_up: LookedUp

    @classmethod
    def by(
        cls, model: LanguageModel, profile: Profile, grams: Grams, sequences: Sequences, never: list[int]
    ) -> "Measured":
        """Of sequences, by what was learned from others; `never` as in `tally`."""
        read = tally(model, profile, grams, sequences, never)
        return cls(read, LookedUp.by(profile, grams, sequences))

    def where(self, chosen: np.ndarray, other: "Measured") -> "Measured":
        """The other of those that are chosen (n,)."""
        return Measured(*(_where(chosen, *both) for both in zip(other, self, strict=True)))

    def calibrated(self, scheme: Scheme) -> Calibrated:
        """What comes of it, as in `calibrate`."""
        combining = at(self.tally, slice(len(self.tally.lengths) // 2)) if scheme == "split" else self.tally
        bits_per_event = float(combining.totals.sum() / (combining.lengths + 1).sum())
        read = self.tally._replace(new=self.looked_up.new, tables=self.looked_up.tables)
        features = features_of(read, self.looked_up.distances, bits_per_event)
        grams = (np.sort(scores) for scores in (self.looked_up.largest, self.looked_up.mean))
        calibration = calibrate(features, bits_per_event, scheme)
        return Calibrated(calibration, dict(zip(GRAMS, grams, strict=True)))


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
