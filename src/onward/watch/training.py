"""Learns a detector from normal sequences: trains its model, and calibrates it on held-out sequences.

Few sequences are all used for both. They are split at random into folds. For each fold, a model is trained on
the other folds and scores this one. The detector's own model is trained on all sequences. Many or long
sequences leave time for fewer folds, or none: then a fifth of the sequences is held out instead.
Lookup tables and the n-gram model are cheap, so they use smaller folds. If two sequences with the same rare
event are in one fold, the event looks new; in small folds this happens rarely. Sequences that recur are
scored by the detector itself (see `calibration/out_of_fold.py`). docs/concepts.md states the resulting
guarantee. With `held_out` there is a single split instead, and the guarantee is exact.

Sequences in time order are scored forward instead: the third quarter by a model of the first half, and the
last quarter by a model of the first three quarters (of many events, only the last quarter). What is normal
changes with time, and random folds cannot show that: each held-out sequence has neighbours among the training
sequences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from onward.artefact import Artefact
from onward.checks import Hint, checked_dataclass
from onward.data.lanes import unknown_shares
from onward.data.sequences import SequenceLanes, Sequences
from onward.errors import CorpusError
from onward.model import LanguageModel
from onward.threads import explain_fork_errors
from onward.training.events import Event, Observer
from onward.training.held_out import HeldOut
from onward.training.loop import TrainingLoop
from onward.training.plan import Plan
from onward.training.random_state import forked_random
from onward.training.recipe import Recipe
from onward.training.trainer import Trainer
from onward.watch.calibration.baselines import Baselines
from onward.watch.calibration.out_of_fold import (
    Lookups,
    ModelBits,
    OutOfFold,
    OutOfFoldScores,
    calibrate_by_scores,
    look_up,
)
from onward.watch.calibration.splits import SplitPlan, plan_splits
from onward.watch.detector import FALSE_ALARMS, Detector, Rate, TopK
from onward.watch.scoring.batch import score_sequences
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.ngram import NgramModel
from onward.watch.scoring.profile import Profile

MOST_FOLDS = 5
"""The largest number of folds that is chosen."""

FEWEST_SEQUENCES = 10
"""The smallest number of sequences to learn a detector from."""

RECIPE = Recipe(
    name="watch", layer="gru", width=64, layers=1, lanes=64, block=128, validation=0.0, precision="fp32"
)
"""Recipe of a detector's model. Its kind of symbols is not used: events are the symbols."""

_POSITIONS_PER_BLOCK, _FEWEST_LANES = 2048, 16
"""Long sequences are trained in fewer lanes: more steps instead of larger ones."""

_PASSES, _FEWEST_POSITIONS, _FEWEST_STEPS, _MOST_POSITIONS = 10, 200_000, 5_000, 800_000
"""A model is trained for this many passes over its events, but at least for a number of positions, or of
positions of a lane; at most for another number of positions, but for one pass."""

_STEPS_IN_ALL = 150_000
"""The positions of one lane that all models together are trained for, which decide the number of folds. They
are computed one after the other: in less than a minute on two cores."""

Notify = Callable[[str], None]


@dataclass(frozen=True)
class ModelStarted(Event):
    """The training of one of the models begins.

    Attributes:
        number: number of the model, from 1.
        models: number of all models: one for each split of the calibration, and the detector's own.
    """

    number: int
    models: int


@checked_dataclass()
class LearnSettings:
    """Settings of `learn_detector`.

    Attributes:
        recipe: recipe of the model; by default `RECIPE`.
        folds: number of folds of the calibration; by default, it depends on the amount of data (see the
            module).
        held_out: share of the sequences that are only used to calibrate, in place of folds.
        in_order: whether the sequences are in time order. The calibration then scores later sequences by
            models of earlier ones, in place of folds; with `held_out`, the last sequences are held out.
        seed: seed of the weights and of the folds.
        rate: the false-alarm rate, a share of normal sequences; by default 0.1 %, or with few
            sequences the smallest rate that flags two of the calibration set (see
            `Calibration.sensible_rate`).
        top_k: see `Detector`.
        steps: number of training steps; by default ten passes, fewer for many events, more for few.
    """

    recipe: Recipe | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None
    in_order: bool = False
    seed: int = 0
    rate: Rate | None = None
    top_k: TopK | None = None
    steps: (
        Annotated[int, Field(ge=1), Hint("leave out --steps: the default depends on the amount of data")]
        | None
    ) = None


def learn_detector(
    sequences: Sequence[Sequence[str]],
    settings: LearnSettings | None = None,
    *,
    is_bytes: bool = False,
    source: dict[str, Any] | None = None,
    observer: Observer | None = None,
    notify: Notify = lambda _: None,
) -> Detector:
    """Learns a detector from normal sequences.

    Args:
        sequences: the events of each sequence, by name.
        settings: the settings; by default those of `LearnSettings`.
        is_bytes: whether events are bytes, as Latin-1 characters.
        source: how records are parsed (see `Detector`).
        observer: receives the events of each training run, after a `ModelStarted`.
        notify: receives a message at the start of each stage.

    Raises:
        CorpusError: there are fewer than ten sequences.
    """
    settings = settings or LearnSettings()
    if len(sequences) < FEWEST_SEQUENCES:
        raise CorpusError(
            f"expected at least {FEWEST_SEQUENCES} normal sequences to learn from, got {len(sequences)}",
            hint="name more sources, or group the records by another key",
        )
    events = sum(map(len, sequences))
    plan = plan_splits(
        len(sequences),
        events,
        folds=settings.folds or _folds_for(events, len(sequences)),
        held_out=settings.held_out,
        in_order=settings.in_order,
        seed=settings.seed,
    )
    vocabulary = (
        EventVocabulary(None) if is_bytes else EventVocabulary.of(sequences[int(i)] for i in plan.training)
    )
    encoded = vocabulary.encode(sequences)
    unseen_words = vocabulary.sum_of_unseen_word_shares(sequences, encoded)
    learner = _Learner(encoded, unseen_words, vocabulary, settings, observer, notify)
    return learner.learn(plan, source or {})


class _Learner:
    """Trains and calibrates a detector on encoded sequences."""

    def __init__(
        self,
        sequences: Sequences,
        unseen_words: np.ndarray,
        vocabulary: EventVocabulary,
        settings: LearnSettings,
        observer: Observer | None,
        notify: Notify,
    ) -> None:
        self._sequences, self._unseen_words = sequences, unseen_words
        self._vocabulary, self._settings = vocabulary, settings
        self._recipe = settings.recipe or _recipe_for(sequences, settings.seed)
        self._observer, self._notify = observer or (lambda event: None), notify
        self._models, self._models_started = 1, 0

    def learn(self, plan: SplitPlan, source: dict[str, Any]) -> Detector:
        self._models = len(plan.folds) + 1
        out_of_fold = self._score_out_of_fold(plan) if plan.folds else None
        training = self._sequences.take(plan.training)
        self._notify(f"learning from {len(training):,} sequences of {len(training.ids):,} events")
        model, facts = self._train(training)
        profile, ngrams = self._look_up(training)
        score, find = partial(self._score, model), partial(look_up, profile, ngrams)
        if out_of_fold:
            by_model, lookups = out_of_fold
            scores = by_model.with_recurring(score), lookups.with_recurring(find)
        else:
            held_out, unseen_words = self._sequences.take(plan.held_out), self._unseen_words[plan.held_out]
            scores = score(held_out, unseen_words), find(held_out, unseen_words)
        mixture, calibration, baseline_scores = calibrate_by_scores(*scores, plan.scheme)
        facts |= {
            "corpus": {"sequences": len(self._sequences), "symbols": len(self._sequences.ids)},
            "calibration": {
                "sequences": len(calibration.scores),
                "folds": len(plan.folds) if plan.scheme == "others" else None,
                "in_order": self._settings.in_order,
            },
        }
        return Detector(
            Artefact(model, self._vocabulary.model_vocabulary, self._recipe.to_json(), facts),
            self._vocabulary,
            profile,
            mixture,
            calibration,
            Baselines.of(training, ngrams, baseline_scores),
            self._settings.rate or max(FALSE_ALARMS, calibration.sensible_rate),
            self._settings.top_k,
            source,
        )

    def _score_out_of_fold(
        self, plan: SplitPlan
    ) -> tuple[OutOfFoldScores[ModelBits], OutOfFoldScores[Lookups]]:
        """Scores held-out sequences by models, and by lookups, that do not know them."""

        def by_model(training: Sequences, held_out: Sequences, unseen_words: np.ndarray) -> ModelBits:
            self._notify(
                f"calibrating, {self._models_started + 1} of {len(plan.folds)}: "
                f"training on {len(training):,} sequences to score {len(held_out):,} others"
            )
            return self._score(self._train(training)[0], held_out, unseen_words)

        def by_lookup(training: Sequences, held_out: Sequences, unseen_words: np.ndarray) -> Lookups:
            return look_up(*self._look_up(training), held_out, unseen_words)

        scorer = OutOfFold(self._sequences, self._vocabulary)
        return scorer.score(plan.folds, by_model), scorer.score(plan.lookup_folds or plan.folds, by_lookup)

    def _look_up(self, training: Sequences) -> tuple[Profile, NgramModel]:
        symbols = self._vocabulary.symbols
        ngrams = NgramModel.of(training, symbols, outcomes=self._vocabulary.size)
        return Profile.of(training, symbols), ngrams

    def _score(self, model: LanguageModel, sequences: Sequences, _unseen_words: np.ndarray) -> ModelBits:
        return ModelBits(sequences.split(score_sequences(model, sequences, self._vocabulary).bits))

    def _train(self, training: Sequences) -> tuple[LanguageModel, dict[str, Any]]:
        """Returns a model of sequences, and the facts of its training."""
        self._models_started += 1
        self._observer(ModelStarted(self._models_started, self._models))
        recipe, device = self._recipe, torch.device("cpu")
        counts = np.bincount(training.ids, minlength=self._vocabulary.size)
        lanes = SequenceLanes(
            training, lanes=recipe.lanes, steps=recipe.block, unknown=unknown_shares(counts), seed=recipe.seed
        )
        positions = _positions_for(len(training.ids), recipe.lanes) / lanes.positions_per_block
        steps = self._settings.steps or max(lanes.blocks_per_epoch, round(positions))
        with forked_random(device), explain_fork_errors():
            torch.manual_seed(recipe.seed)
            model = LanguageModel(recipe.model_config(self._vocabulary.size)).train()
            trainer = Trainer(model, lanes, recipe, precision="fp32")
            loop = TrainingLoop(trainer, HeldOut.none(), Plan.of(steps), self._observer)
            loop.run()
        facts = {"steps": trainer.step, "symbols": trainer.symbols, "threads": torch.get_num_threads()}
        return model.eval(), facts


def _recipe_for(sequences: Sequences, seed: int) -> Recipe:
    """Returns the recipe for an amount of data."""
    return replace(RECIPE, lanes=_lanes_for(len(sequences.ids), len(sequences)), seed=seed)


def _lanes_for(events: int, sequences: int) -> int:
    """Returns the number of lanes to train a model in."""
    mean_length = events // sequences + 1
    return max(_FEWEST_LANES, min(RECIPE.lanes, _POSITIONS_PER_BLOCK // min(mean_length, RECIPE.block)))


def _folds_for(events: int, sequences: int) -> int:
    """Returns the number of folds; 1 for none (see `plan_splits`)."""
    lanes = _lanes_for(events, sequences)
    return max(1, min(MOST_FOLDS, _STEPS_IN_ALL // (_positions_for(events, lanes) // lanes) - 1))


def _positions_for(events: int, lanes: int) -> int:
    """Returns the number of positions to train one model for."""
    least = min(_FEWEST_POSITIONS, _FEWEST_STEPS * lanes)
    return max(events, min(_MOST_POSITIONS, max(least, _PASSES * events)))
