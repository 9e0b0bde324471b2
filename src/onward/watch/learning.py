"""Learning a detector from normal sequences: the model, and the calibration on sequences it did not see.

Every sequence serves both. They are dealt at random into folds; for each fold a model is learned from the
others and scores it. The detector's own model learns from all of them. What that guarantees stands in
docs/concepts.md; with `held_out` there is one split instead, and the guarantee is exact.

Sequences that stand in the order of time are scored forwards instead: the third quarter by a model of the
first half, the last by a model of the three before it. What is normal changes with time, and a fold drawn at
random has neighbours of all it holds among what was learned: it shows nothing of that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from onward.artefact import Artefact
from onward.data.hashing import mixed
from onward.data.lanes import unknown_shares
from onward.data.sequences import SequenceLanes, Sequences
from onward.data.vocabulary import UNKNOWN
from onward.errors import CorpusError, InputError
from onward.model import LanguageModel
from onward.training.events import Observer
from onward.training.loop import Loop
from onward.training.plan import Plan
from onward.training.recipe import Recipe
from onward.training.trainer import Trainer, forked_random
from onward.watch.alphabet import Alphabet
from onward.watch.baselines import GRAMS, Baselines, gram_scores
from onward.watch.conformal import Calibration, calibrate
from onward.watch.detector import FALSE_ALARMS, Detector
from onward.watch.grams import Grams
from onward.watch.profile import Profile
from onward.watch.scores import Tally, features_of
from onward.watch.tallies import tally

FOLDS = 5
FEWEST = 10
"""Sequences that a detector can be learned from."""

RECIPE = Recipe(
    name="watch", layer="gru", width=64, layers=1, lanes=64, block=128, validation=0.0, precision="fp32"
)
"""Of a detector's model. The kind of symbols is that of the sequences, whatever it says here."""

WIDE, MANY = 128, 100_000
"""The width of the model of so many events and more."""

_POSITIONS, _FEWEST_LANES = 2048, 16
"""Of a block: of long sequences fewer are read side by side, for more steps in place of larger ones."""

_EPOCHS, _FEWEST_STEPS, _MOST_STEPS = 10, 400, 2000

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Learning:
    """How a detector is learned.

    Attributes:
        recipe: of its model; by default `RECIPE`, wider where there are many events.
        seed: of the weights, and of who is held out when.
        folds: into which the sequences are dealt for the calibration.
        held_out: share of the sequences that the calibration has for itself, in place of folds; the model
            does not learn from them.
        in_order: whether the sequences stand in the order of time: the calibration is then of the later ones
            by models of those before them, in place of folds; what is held out is the last.
        rate: of false alarms.
        top_k: see `Detector`.
        steps: of training; by default some epochs, within limits.
    """

    recipe: Recipe | None = None
    folds: int = FOLDS
    held_out: float | None = None
    in_order: bool = False
    seed: int = 0
    rate: float = FALSE_ALARMS
    top_k: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        if not 2 <= self.folds <= 100:
            raise InputError(f"expected 2 to 100 folds, got {self.folds}")
        if self.held_out is not None and not 0 < self.held_out < 1:
            raise InputError(f"expected a share between 0 and 1 to be held out, got {self.held_out}")
        if not 0 < self.rate < 1:
            raise InputError(f"expected a rate of false alarms between 0 and 1, got {self.rate}")


def learn(
    sequences: Sequence[Sequence[str]],
    learning: Learning | None = None,
    *,
    is_bytes: bool = False,
    source: dict[str, Any] | None = None,
    observer: Observer | None = None,
    tell: Tell = lambda _: None,
) -> Detector:
    """A detector of what deviates from these normal sequences.

    Args:
        sequences: their events, by name.
        learning: how.
        is_bytes: whether the events are bytes, as characters of Latin-1.
        source: how records are read (see `Detector`).
        observer: is told of the steps of each training run.
        tell: is told what is being done, in a sentence.

    Raises:
        CorpusError: fewer than ten sequences.
    """
    learning = learning or Learning()
    if len(sequences) < FEWEST:
        raise CorpusError(
            f"expected at least {FEWEST} normal sequences to learn from, got {len(sequences)}",
            hint="name more sources, or group the records by another key",
        )
    count = len(sequences)
    drawn = np.argsort(mixed(np.arange(count), learning.seed, 1), kind="stable")
    if learning.in_order:
        drawn = np.arange(count)[::-1]
    share = learning.held_out
    cut = 0 if share is None else min(count - 2, max(4, round(count * share)))
    kept = np.sort(drawn[cut:])
    alphabet = Alphabet(None) if is_bytes else Alphabet.of(sequences[int(i)] for i in kept)
    learner = _Learner(alphabet.encode(sequences), alphabet, learning, observer, tell)
    splits = _forwards(count) if learning.in_order else _folds(drawn, learning.folds)
    calibrated = learner.calibrated(splits) if share is None else None
    return learner.detector(kept, drawn[:cut], calibrated, source or {})


class _Split(NamedTuple):
    """Sequences that are scored, and those that the model which scores them learns from, as indices."""

    training: np.ndarray
    held: np.ndarray


def _folds(drawn: np.ndarray, folds: int) -> list[_Split]:
    """Each sequence is held once."""
    held = [drawn[fold::folds] for fold in range(min(folds, len(drawn)))]
    return [_Split(np.sort(np.setdiff1d(drawn, part)), part) for part in held]


def _forwards(count: int) -> list[_Split]:
    """The later half is held, a quarter at a time, with all that was before it to learn from."""
    ends = [count // 2, count - count // 4, count]
    return [_Split(np.arange(a), np.arange(a, b)) for a, b in pairwise(ends)]


class _Learner:
    """The parts of learning, put together."""

    def __init__(
        self,
        sequences: Sequences,
        alphabet: Alphabet,
        learning: Learning,
        observer: Observer | None,
        tell: Tell,
    ) -> None:
        self._sequences, self._alphabet, self._learning = sequences, alphabet, learning
        self._observe, self._tell = observer or (lambda event: None), tell
        width = WIDE if len(sequences.ids) >= MANY else RECIPE.width
        mean = len(sequences.ids) // len(sequences) + 1
        lanes = max(_FEWEST_LANES, min(RECIPE.lanes, _POSITIONS // min(mean, RECIPE.block)))
        self._recipe = learning.recipe or replace(RECIPE, width=width, lanes=lanes, seed=learning.seed)

    def detector(
        self, kept: np.ndarray, held: np.ndarray, calibrated: "_Calibrated | None", source: dict[str, Any]
    ) -> Detector:
        """The model of the sequences that are kept, calibrated beforehand or by those that are held out."""
        training, symbols = self._sequences.take(kept), self._alphabet.size
        self._tell(f"learning from {len(training):,} sequences of {len(training.ids):,} events")
        model, facts = self._model(training)
        profile, grams = Profile.of(training, symbols), Grams.of(training, symbols)
        calibrated = calibrated or self._held_out(_Part(model, profile, grams), held)
        facts |= {
            "corpus": {"sequences": len(self._sequences), "symbols": len(self._sequences.ids)},
            "calibration": {
                "sequences": len(calibrated.calibration.scores),
                "folds": None if len(held) or self._learning.in_order else self._learning.folds,
                "in_order": self._learning.in_order,
            },
        }
        recipe = self._recipe.to_json()
        return Detector(
            Artefact(model, self._alphabet.vocabulary, recipe, facts),
            self._alphabet,
            profile,
            calibrated.calibration,
            Baselines.of(training, grams, calibrated.grams),
            self._learning.rate,
            self._learning.top_k,
            source,
        )

    def calibrated(self, splits: Sequence[_Split]) -> "_Calibrated":
        """Sequences scored by models that have not seen them; features combined likewise, in halves."""
        tallies: list[_Measured] = []
        for number, split in enumerate(splits, 1):
            training, held = (self._sequences.take(part) for part in split)
            told = f"scoring {len(held):,} sequences with a model of {len(training):,} others"
            self._tell(f"calibrating, {number} of {len(splits)}: {told}")
            symbols = self._alphabet.size
            model, _ = self._model(training)
            part = _Part(model, Profile.of(training, symbols), Grams.of(training, symbols))
            tallies.append(self._measured(part, self._unknown_to(training, held)))
        bits_per_event = _mean_bits([measured.tally for measured in tallies])
        features = np.concatenate([features_of(m.tally, m.distances, bits_per_event) for m in tallies])
        # one of each split after another: each half then has sequences of all of them
        places = np.concatenate([np.arange(len(split.held)) / len(split.held) for split in splits])
        order = np.argsort(places, kind="stable")
        grams = {name: np.sort(np.concatenate([m.grams[name] for m in tallies])) for name in GRAMS}
        return _Calibrated(calibrate(features[order], bits_per_event, cross=True), grams)

    def _held_out(self, part: "_Part", held: np.ndarray) -> "_Calibrated":
        """Half of the sequences the model has not seen combines the features, the other half calibrates."""
        measured = self._measured(part, self._sequences.take(held))
        bits_per_event = _mean_bits([Tally(*(values[::2] for values in measured.tally))])
        features = features_of(measured.tally, measured.distances, bits_per_event)
        grams = {name: np.sort(scores) for name, scores in measured.grams.items()}
        return _Calibrated(calibrate(features, bits_per_event, cross=False), grams)

    def _measured(self, part: "_Part", sequences: Sequences) -> "_Measured":
        """Sequences that a part has not seen."""
        measured = tally(part.model, part.profile, part.grams, sequences, self._alphabet.never)
        distances = part.profile.nearest(measured.counts)[0]
        return _Measured(measured, distances, gram_scores(part.grams, sequences))

    def _unknown_to(self, training: Sequences, sequences: Sequences) -> Sequences:
        """Sequences as a detector of those others would read them: events not in these are unknown."""
        if self._alphabet.is_bytes:
            return sequences
        known = np.bincount(training.ids, minlength=self._alphabet.size) > 0
        return Sequences(np.where(known[sequences.ids], sequences.ids, UNKNOWN), sequences.starts)

    def _model(self, training: Sequences) -> tuple[LanguageModel, dict[str, Any]]:
        """A model of sequences, and the facts of its training."""
        recipe, device = self._recipe, torch.device("cpu")
        counts = np.bincount(training.ids, minlength=self._alphabet.size)
        lanes = SequenceLanes(
            training, lanes=recipe.lanes, steps=recipe.block, unknown=unknown_shares(counts), seed=recipe.seed
        )
        epochs = _EPOCHS * lanes.blocks_per_epoch
        steps = self._learning.steps or min(_MOST_STEPS, max(_FEWEST_STEPS, epochs))
        with forked_random(device):
            torch.manual_seed(recipe.seed)
            model = LanguageModel(recipe.model_config(self._alphabet.size)).train()
            trainer = Trainer(model, lanes, recipe, precision="fp32")
            loop = Loop(trainer, np.zeros(0, np.int64), Plan(steps), self._observe)
            loop.run()
        facts = {"steps": trainer.step, "symbols": trainer.symbols, "threads": torch.get_num_threads()}
        return model.eval(), facts


class _Part(NamedTuple):
    """What was learned from some of the sequences."""

    model: LanguageModel
    profile: Profile
    grams: Grams


class _Measured(NamedTuple):
    """What is measured of sequences: tally, distances of counts, scores of the n-gram baselines."""

    tally: Tally
    distances: np.ndarray
    grams: dict[str, np.ndarray]


class _Calibrated(NamedTuple):
    """The calibration, and the n-gram baselines' scores of the same sequences, sorted."""

    calibration: Calibration
    grams: dict[str, np.ndarray]


def _mean_bits(tallies: Sequence[Tally]) -> float:
    """Bits of an event, END among them."""
    bits = sum(float(measured.totals.sum()) for measured in tallies)
    return bits / sum(float((measured.lengths + 1).sum()) for measured in tallies)
