"""Learning a detector from normal sequences: the model, and the calibration on sequences it did not see.

Every sequence serves both. They are dealt at random into folds; for each fold a model is learned from the others
and scores it. The detector's own model learns from all of them. What that guarantees stands in
docs/guides/watch.md; with `held_out` there is one split instead, and the guarantee is exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from onward.artefact import Artefact
from onward.data.hashing import mixed
from onward.data.lanes import unknown_shares
from onward.data.sequences import SequenceLanes, Sequences
from onward.errors import CorpusError, InputError
from onward.model import LanguageModel
from onward.training.events import Observer
from onward.training.loop import Loop
from onward.training.plan import Plan
from onward.training.recipe import Recipe
from onward.training.trainer import Trainer, forked_random
from onward.watch.alphabet import Alphabet
from onward.watch.conformal import Calibration, Combination
from onward.watch.detector import FALSE_ALARMS, Detector
from onward.watch.profile import Profile
from onward.watch.scores import Tally, features_of
from onward.watch.tallies import tally

FOLDS = 5
FEWEST = 10
"""Sequences that a detector can be learned from."""

RECIPE = Recipe(
    name="watch", width=64, layers=1, lanes=64, block=128, dropout=0.1, validation=0.0, precision="fp32"
)
"""Of a detector's model. The kind of symbols is that of the sequences, whatever it says here."""

_EPOCHS, _FEWEST_STEPS, _MOST_STEPS = 20.0, 300, 3000

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Learning:
    """How a detector is learned.

    Attributes:
        recipe: of its model.
        folds: into which the sequences are dealt for the calibration.
        held_out: share of the sequences that the calibration has for itself, in place of folds; the model
            does not learn from them.
        rate: of false alarms.
        top_k: see `Detector`.
        steps: of training; by default some epochs, within limits.
    """

    recipe: Recipe = RECIPE
    folds: int = FOLDS
    held_out: float | None = None
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
    alphabet: Alphabet | None = None,
    source: dict[str, Any] | None = None,
    observer: Observer | None = None,
    tell: Tell = lambda _: None,
) -> Detector:
    """A detector of what deviates from these normal sequences.

    Args:
        sequences: their events, by name.
        learning: how.
        alphabet: the events; by default those that occur.
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
    alphabet = alphabet or Alphabet.of(sequences)
    return _Learner(alphabet.encode(sequences), alphabet, learning, observer, tell).detector(source or {})


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

    def detector(self, source: dict[str, Any]) -> Detector:
        """The model, and its calibration."""
        count, learning = len(self._sequences), self._learning
        drawn = np.argsort(mixed(np.arange(count), learning.recipe.seed, 1), kind="stable")
        if learning.held_out is None:
            kept, calibration = np.sort(drawn), self._in_folds(drawn)
        else:
            cut = min(count - 2, max(4, round(count * learning.held_out)))
            kept = np.sort(drawn[cut:])
            calibration = None
        training = self._sequences.take(kept)
        self._tell(f"learning from {len(training):,} sequences of {len(training.ids):,} events")
        model, facts = self._model(training)
        profile = Profile.of(training, self._alphabet.size)
        if calibration is None:
            calibration = self._held_out(model, profile, drawn[: count - len(kept)])
        facts |= {
            "corpus": {"sequences": count, "symbols": len(self._sequences.ids)},
            "calibration": {
                "sequences": len(calibration.scores),
                "folds": None if learning.held_out else learning.folds,
            },
        }
        artefact = Artefact(model, self._alphabet.vocabulary, learning.recipe.to_json(), facts)
        return Detector(artefact, self._alphabet, profile, calibration, learning.rate, learning.top_k, source)

    def _in_folds(self, drawn: np.ndarray) -> Calibration:
        """Every sequence scored by a model that has not seen it; the features combined likewise, in halves."""
        folds = min(self._learning.folds, len(drawn))
        tallies, places = [], []
        for fold in range(folds):
            held, kept = (
                drawn[fold::folds],
                np.sort(np.concatenate([drawn[i::folds] for i in range(folds) if i != fold])),
            )
            self._tell(
                f"fold {fold + 1} of {folds}: scoring {len(held):,} sequences that it does not learn from"
            )
            training = self._sequences.take(kept)
            model, _ = self._model(training)
            profile = Profile.of(training, self._alphabet.size)
            measured = tally(model, profile, self._sequences.take(held))
            tallies.append((measured, profile.nearest(measured.counts)[0]))
            places.append(held)
        bits_per_event = _mean_bits([measured for measured, _ in tallies])
        features = np.concatenate([features_of(m, d, bits_per_event) for m, d in tallies])
        return calibrate(features, bits_per_event, cross=True)

    def _held_out(self, model: LanguageModel, profile: Profile, held: np.ndarray) -> Calibration:
        """Half of the sequences that the model has not seen combines the features, the other half calibrates."""
        measured = tally(model, profile, self._sequences.take(held))
        half = Tally(*(part[::2] for part in measured))
        bits_per_event = _mean_bits([half])
        features = features_of(measured, profile.nearest(measured.counts)[0], bits_per_event)
        return calibrate(features, bits_per_event, cross=False)

    def _model(self, training: Sequences) -> tuple[LanguageModel, dict[str, Any]]:
        """A model of sequences, and the facts of its training."""
        recipe, device = self._learning.recipe, torch.device("cpu")
        counts = np.bincount(training.ids, minlength=self._alphabet.size)
        lanes = SequenceLanes(
            training, lanes=recipe.lanes, steps=recipe.block, unknown=unknown_shares(counts), seed=recipe.seed
        )
        epochs = round(_EPOCHS * lanes.blocks_per_epoch)
        steps = self._learning.steps or min(_MOST_STEPS, max(_FEWEST_STEPS, epochs))
        with forked_random(device):
            torch.manual_seed(recipe.seed)
            model = LanguageModel(recipe.model_config(self._alphabet.size)).train()
            trainer = Trainer(model, lanes, recipe, precision="fp32")
            loop = Loop(trainer, np.zeros(0, np.int64), Plan(steps), self._observe)
            loop.run()
        facts = {"steps": trainer.step, "symbols": trainer.symbols, "threads": torch.get_num_threads()}
        return model.eval(), facts


def calibrate(features: np.ndarray, bits_per_event: float, *, cross: bool) -> Calibration:
    """The calibration by the features of held-out normal sequences (n, m), in an order drawn at random.

    Args:
        features: of the sequences.
        bits_per_event: the mean of theirs.
        cross: score each half by the combination of the other, and keep all; otherwise the first half
            combines, and the second calibrates.
    """
    halves = features[::2], features[1::2]
    first, second = Combination.of(halves[0]), Combination.of(halves[1])
    scores = [first.score(halves[1])]
    if cross:
        scores.append(second.score(halves[0]))
        first = Combination.of(features)
    return Calibration(first, np.sort(np.concatenate(scores)), bits_per_event)


def _mean_bits(tallies: Sequence[Tally]) -> float:
    """Bits of an event, END among them."""
    bits = sum(float(measured.totals.sum()) for measured in tallies)
    return bits / sum(float((measured.lengths + 1).sum()) for measured in tallies)
