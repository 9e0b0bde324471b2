"""Out-of-fold scores: each calibration sequence is scored by a model that was not trained on it.

The exceptions are sequences that recur. A new sequence is scored by the detector itself, and two models
differ slightly. If few kinds of sequences recur often, this small difference decides whether a whole kind is
above the threshold. Therefore the detector itself scores a calibration sequence that has several duplicates
in other folds, or that equals another one once unknown events are replaced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import UNKNOWN
from onward.watch.calibration.baselines import NGRAM_BASELINES
from onward.watch.calibration.conformal import Calibration, Scheme, calibrate
from onward.watch.calibration.splits import Split, held_out_in
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.features import SequenceScores
from onward.watch.scoring.ngram import NgramModel
from onward.watch.scoring.profile import Profile, counts_of
from onward.watch.scoring.surprise import Mixture, Surprise

_FEWEST_DUPLICATES = 4
"""A sequence with fewer duplicates in other folds is scored out of fold, because the detector was trained on
the sequence itself and would score it too low."""

Scores = TypeVar("Scores", bound=tuple[np.ndarray, ...])


class ModelBits(NamedTuple):
    """The bits of the events of n sequences by the model: see `Sequences.split`, (n,)."""

    bits: np.ndarray


class Lookups(NamedTuple):
    """The scores of n sequences by the profile and the n-gram model.

    Attributes:
        bits: as in `ModelBits`, by the n-gram model, (n,).
        distances, new: as in `SequenceScores`, (n,).
        windows: share of windows that never occurred (see `NgramModel.unseen_windows`), (n,).
    """

    bits: np.ndarray
    distances: np.ndarray
    new: np.ndarray
    windows: np.ndarray


def look_up(profile: Profile, ngrams: NgramModel, sequences: Sequences, unseen_words: np.ndarray) -> Lookups:
    """Returns the scores of sequences by the profile and the n-gram model of other sequences.

    Args:
        profile: the profile.
        ngrams: the n-gram model.
        sequences: n sequences.
        unseen_words: the sum over the events of each sequence of `EventVocabulary.unseen_word_share`, (n,).
    """
    return Lookups(
        sequences.split(ngrams.bits(sequences)),
        profile.nearest(counts_of(sequences, profile.symbols))[0],
        profile.count_new(sequences) + unseen_words,
        ngrams.unseen_windows(sequences),
    )


@dataclass(frozen=True)
class OutOfFoldScores(Generic[Scores]):
    """The scores of n held-out sequences, in the order of the splits.

    Attributes:
        indices: the indices of the sequences, (n,).
        sequences: the sequences, with events that were unknown to their fold's model replaced by UNKNOWN.
        unseen_words: as in `look_up`, (n,).
        scores: their scores.
        recurs: whether the detector itself scores the sequence (see the module), (n,).
    """

    indices: np.ndarray
    sequences: Sequences
    unseen_words: np.ndarray
    scores: Scores
    recurs: np.ndarray

    def with_recurring(self, score: Callable[[Sequences, np.ndarray], Scores]) -> Scores:
        """Returns the scores ordered by index; the detector itself scores the recurring sequences.

        Args:
            score: scores sequences, given their unseen words, by the detector.
        """
        scores, places = self.scores, np.flatnonzero(self.recurs)
        if len(places):
            scores = _replace(scores, places, score(self.sequences.take(places), self.unseen_words[places]))
        return select(scores, np.argsort(self.indices))


class OutOfFold:
    """Scores the held-out sequences of splits.

    Args:
        sequences: all sequences.
        vocabulary: the events that their ids stand for.
    """

    def __init__(self, sequences: Sequences, vocabulary: EventVocabulary) -> None:
        self._sequences, self._vocabulary = sequences, vocabulary

    def score(
        self, splits: Sequence[Split], score: Callable[[Sequences, Sequences, np.ndarray], Scores]
    ) -> OutOfFoldScores[Scores]:
        """Scores the held-out sequences of each split.

        Args:
            splits: the splits.
            score: trains on the first sequences and scores the second, given their unseen words.
        """
        parts: list[Scores] = []
        unseen: list[np.ndarray] = []
        read: list[Sequences] = []
        recurs: list[np.ndarray] = []
        for split in splits:
            training, held_out = self._sequences.take(split.training), self._sequences.take(split.held_out)
            held_out, unseen_words = self._replace_unknown(training, held_out)
            parts.append(score(training, held_out, unseen_words))
            unseen.append(unseen_words)
            read.append(held_out)
            recurs.append(self._recurs(split, held_out))
        sequences = Sequences.of(sequence for held_out in read for sequence in held_out)
        return OutOfFoldScores(
            held_out_in(splits),
            sequences,
            np.concatenate(unseen),
            _concatenate(parts),
            np.concatenate(recurs),
        )

    def _recurs(self, split: Split, held_out: Sequences) -> np.ndarray:
        """Returns whether the detector itself scores each held-out sequence, (n,)."""
        owners, forms = np.repeat(np.arange(len(held_out)), held_out.lengths), held_out.distinct()[1]
        has_unknown = np.bincount(owners[held_out.ids == UNKNOWN], minlength=len(held_out)) > 0
        has_twin = np.bincount(forms)[forms] > 1
        duplicates = np.bincount(self._kinds[split.training], minlength=len(self._sequences))
        return (duplicates[self._kinds[split.held_out]] >= _FEWEST_DUPLICATES) | (has_unknown & has_twin)

    @cached_property
    def _kinds(self) -> np.ndarray:
        """A number for each sequence, (N,); equal sequences have the same number."""
        return self._sequences.distinct()[1]

    def _replace_unknown(self, training: Sequences, sequences: Sequences) -> tuple[Sequences, np.ndarray]:
        """Returns sequences with events that do not occur in the training sequences replaced by UNKNOWN.

        Returns:
            The n sequences, and the unseen words of each, (n,).
        """
        if self._vocabulary.is_bytes:
            return sequences, np.zeros(len(sequences))
        known = np.bincount(training.ids, minlength=self._vocabulary.size) > 0
        shares = self._vocabulary.unseen_word_shares(known)[sequences.ids]
        replaced = Sequences(np.where(known[sequences.ids], sequences.ids, UNKNOWN), sequences.starts)
        return replaced, sequences.sums(np.insert(shares, sequences.starts[1:], 0.0))


class CalibrationParts(NamedTuple):
    """The parts of a detector that come from held-out sequences.

    Attributes:
        mixture: the mixture of the model and the n-gram model.
        calibration: the calibration of the p-values.
        baselines: the sorted scores of each n-gram baseline.
    """

    mixture: Mixture
    calibration: Calibration
    baselines: dict[str, np.ndarray]


def calibrate_by_scores(by_model: ModelBits, lookups: Lookups, scheme: Scheme) -> CalibrationParts:
    """Computes the mixture, the calibration and the baselines by the scores of held-out sequences.

    Args:
        by_model: the scores of the sequences by the model.
        lookups: the scores of the same sequences by lookups.
        scheme: see `calibrate`.
    """
    lengths = np.array([len(bits) for bits in by_model.bits])
    model, ngram = np.concatenate([*by_model.bits]), np.concatenate([*lookups.bits])
    known = int(lengths[: len(lengths) // 2].sum()) if scheme == "split" else len(model)
    mixture = Mixture.of(model[:known], ngram[:known])
    by_ngram = Surprise.of(ngram, lengths)
    scores = SequenceScores(
        lengths - 1,
        Surprise.of(mixture.bits(model, ngram), lengths),
        by_ngram,
        lookups.distances,
        lookups.new,
    )
    calibration = calibrate(scores.features(mixture.bits_per_event), scheme)
    found = by_ngram.tops[:, 0], by_ngram.totals / lengths, lookups.windows
    baselines = {name: np.sort(each) for name, each in zip(NGRAM_BASELINES, found, strict=True)}
    return CalibrationParts(mixture, calibration, baselines)


def select(scores: Scores, indices: np.ndarray | slice) -> Scores:
    """Returns the scores of some sequences, in the order of the indices."""
    return type(scores)(*(array[indices] for array in scores))


def _concatenate(parts: Sequence[Scores]) -> Scores:
    return type(parts[0])(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _replace(scores: Scores, places: np.ndarray, others: Scores) -> Scores:
    """Returns the scores with those at some places (k,) replaced."""
    made = [np.array(array) for array in scores]
    for array, other in zip(made, others, strict=True):
        array[places] = other
    return type(scores)(*made)
