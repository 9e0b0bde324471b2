"""What a calibration is made from: what the model and lookups make of sequences that were held out."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from onward.data.sequences import Sequences
from onward.watch.calibration.baselines import GRAMS
from onward.watch.calibration.conformal import Calibration, Scheme, calibrate
from onward.watch.scoring.features import LookedUp, Tally, features_of
from onward.watch.scoring.ngram import Grams
from onward.watch.scoring.profile import Profile, counts_of

Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])


class Lookups(NamedTuple):
    """What lookups and the n-gram make of n sequences.

    Attributes:
        new, tables, distances: as in `LookedUp`, (n,).
        largest: bits of the least probable event by the n-gram, (n,).
    """

    new: np.ndarray
    tables: np.ndarray
    distances: np.ndarray
    largest: np.ndarray


class Calibrated(NamedTuple):
    """The calibration, and the n-gram baselines' scores of the same sequences, sorted."""

    calibration: Calibration
    grams: dict[str, np.ndarray]


def calibrated(read: Tally, found: Lookups, scheme: Scheme) -> Calibrated:
    """What comes of what the model and lookups make of held-out sequences, as in `calibrate`."""
    combining = at(read, slice(len(read.lengths) // 2)) if scheme == "split" else read
    bits_per_event = float(combining.totals.sum() / (combining.lengths + 1).sum())
    features = features_of(read, LookedUp(*found[:3]), bits_per_event)
    by_grams = zip(GRAMS, (found.largest, found.tables / (read.lengths + 1)), strict=True)
    grams = {name: np.sort(scores) for name, scores in by_grams}
    return Calibrated(calibrate(features, bits_per_event, scheme), grams)


def looked_up(profile: Profile, grams: Grams, sequences: Sequences) -> Lookups:
    """What lookups and the n-gram make of sequences, by what occurred in others."""
    distances = profile.nearest(counts_of(sequences, profile.symbols))[0]
    largest, mean = grams.largest_and_mean(sequences)
    return Lookups(profile.new_in(sequences), mean * (sequences.lengths + 1), distances, largest)


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Arrays of several parts, one behind the other."""
    return type(parts[0])(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def at(arrays: Arrays, places: np.ndarray | slice) -> Arrays:
    """The same of some sequences, in that order."""
    return type(arrays)(*(array[places] for array in arrays))


def replaced(arrays: Arrays, places: np.ndarray, others: Arrays) -> Arrays:
    """The same with others in some places (k,)."""
    made = [np.array(array) for array in arrays]
    for array, other in zip(made, others, strict=True):
        array[places] = other
    return type(arrays)(*made)
