"""Learning a detector from normal sequences: the model, and the calibration on sequences it did not see.

Every sequence serves both. They are dealt at random into folds; for each fold a model is learned from the
others and scores it. The detector's own model learns from all of them. Lookups and the n-gram cost little,
so theirs are smaller folds: of two sequences with the same oddity, whether they share a fold decides whether
it is one, and of small folds few do. A sequence that often has its like among those others, or is like
another one once its unknown events are read as unknown, is scored by the detector itself, as each that comes
later will be: two models differ a little, and where few kinds of sequences recur often a little decides
whether a whole kind is above the threshold. What that guarantees stands in docs/concepts.md; with `held_out`
there is one split instead, and the guarantee is exact.

Sequences that stand in the order of time are scored forwards instead: the third quarter by a model of the
first half, the last by a model of the three before it. What is normal changes with time, and a fold drawn at
random has neighbours of all it holds among what was learned: it shows nothing of that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count
from typing import Any, Generic

import numpy as np
import torch

from onward.artefact import Artefact
from onward.data.lanes import unknown_shares
from onward.data.sequences import SequenceLanes, Sequences
from onward.data.vocabulary import UNKNOWN
from onward.errors import CorpusError, InputError
from onward.model import LanguageModel
from onward.training.events import Observer
from onward.training.loop import TrainingLoop
from onward.training.plan import Plan
from onward.training.recipe import Recipe
from onward.training.trainer import Trainer, forked_random
from onward.watch.calibration.baselines import Baselines
from onward.watch.calibration.out_of_fold import Arrays, Lookups, at, calibrated, joined, looked_up, replaced
from onward.watch.calibration.splits import Deal, Split, deal, held_in
from onward.watch.detector import FALSE_ALARMS, Detector, check_rule
from onward.watch.scoring.batch import tally
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.features import Tally
from onward.watch.scoring.ngram import Grams
from onward.watch.scoring.profile import Profile

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

_OFTEN = 4
"""Times that others must have been like a sequence for the detector to speak for its kind: of less, what it
learned from the sequence itself would count."""

_EPOCHS, _FEWEST_STEPS, _MOST_STEPS = 10, 400, 2000

Tell = Callable[[str], None]


@dataclass(frozen=True)
class LearnSettings:
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
        if self.steps is not None and self.steps < 1:
            raise InputError(
                f"expected 1 or more steps of training, got {self.steps}",
                hint="leave out --steps: the data say how many then",
            )
        check_rule(self.rate, self.top_k)


def learn_detector(
    sequences: Sequence[Sequence[str]],
    learning: LearnSettings | None = None,
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
    learning = learning or LearnSettings()
    if len(sequences) < FEWEST:
        raise CorpusError(
            f"expected at least {FEWEST} normal sequences to learn from, got {len(sequences)}",
            hint="name more sources, or group the records by another key",
        )
    dealt = deal(
        len(sequences),
        sum(map(len, sequences)),
        folds=learning.folds,
        held_out=learning.held_out,
        in_order=learning.in_order,
        seed=learning.seed,
    )
    alphabet = (
        EventVocabulary(None) if is_bytes else EventVocabulary.of(sequences[int(i)] for i in dealt.kept)
    )
    return _Learner(alphabet.encode(sequences), alphabet, learning, observer, tell).detector(
        dealt, source or {}
    )


@dataclass(frozen=True)
class _Unseen(Generic[Arrays]):
    """Sequences that calibrate, each measured by what was learned from others.

    Attributes:
        places: of them among all, (n,).
        sequences: as they are read by who has not seen them, n.
        measured: in that order.
        recurs: whether one that comes later may well be read as just the same, (n,).
    """

    places: np.ndarray
    sequences: Sequences
    measured: Arrays
    recurs: np.ndarray

    def or_by(self, itself: Callable[[Sequences], Arrays]) -> Arrays:
        """What was measured, by the detector itself of those that recur; in the order of all sequences."""
        measured, places = self.measured, np.flatnonzero(self.recurs)
        if len(places):
            measured = replaced(measured, places, itself(self.sequences.take(places)))
        return at(measured, np.argsort(self.places))


class _Learner:
    """The parts of learning, put together."""

    def __init__(
        self,
        sequences: Sequences,
        alphabet: EventVocabulary,
        learning: LearnSettings,
        observer: Observer | None,
        tell: Tell,
    ) -> None:
        self._sequences, self._alphabet, self._learning = sequences, alphabet, learning
        self._observe, self._tell = observer or (lambda event: None), tell
        width = WIDE if len(sequences.ids) >= MANY else RECIPE.width
        mean = len(sequences.ids) // len(sequences) + 1
        lanes = max(_FEWEST_LANES, min(RECIPE.lanes, _POSITIONS // min(mean, RECIPE.block)))
        self._recipe = learning.recipe or replace(RECIPE, width=width, lanes=lanes, seed=learning.seed)

    def detector(self, dealt: Deal, source: dict[str, Any]) -> Detector:
        """The model of the sequences that are kept, calibrated by splits or by those that are held."""
        unseen = self._unseen(dealt) if dealt.splits else None
        training = self._sequences.take(dealt.kept)
        self._tell(f"learning from {len(training):,} sequences of {len(training.ids):,} events")
        model, facts = self._model(training)
        profile, grams = self._lookups(training)
        read, find = partial(self._read, model), partial(looked_up, profile, grams)
        if unseen:
            measured = unseen[0].or_by(read), unseen[1].or_by(find)
        else:
            held = self._sequences.take(dealt.held)
            measured = read(held), find(held)
        calibration, by_grams = calibrated(*measured, dealt.scheme)
        facts |= {
            "corpus": {"sequences": len(self._sequences), "symbols": len(self._sequences.ids)},
            "calibration": {
                "sequences": len(calibration.scores),
                "folds": len(dealt.splits) if dealt.scheme == "others" else None,
                "in_order": self._learning.in_order,
            },
        }
        recipe = self._recipe.to_json()
        return Detector(
            Artefact(model, self._alphabet.vocabulary, recipe, facts),
            self._alphabet,
            profile,
            calibration,
            Baselines.of(training, grams, by_grams),
            self._learning.rate,
            self._learning.top_k,
            source,
        )

    def _unseen(self, dealt: Deal) -> tuple[_Unseen[Tally], _Unseen[Lookups]]:
        """Sequences read by models that have not seen them, and by lookups of finer splits if there are."""
        number = count(1)

        def read(training: Sequences, held: Sequences) -> Tally:
            told = f"scoring {len(held):,} sequences with a model of {len(training):,} others"
            self._tell(f"calibrating, {next(number)} of {len(dealt.splits)}: {told}")
            return self._read(self._model(training)[0], held)

        def find(training: Sequences, held: Sequences) -> Lookups:
            return looked_up(*self._lookups(training), held)

        return self._by_others(dealt.splits, read), self._by_others(dealt.finer or dealt.splits, find)

    def _by_others(
        self, splits: list[Split], measure: Callable[[Sequences, Sequences], Arrays]
    ) -> _Unseen[Arrays]:
        """What is measured of each held sequence by those to learn from."""
        parts: list[Arrays] = []
        read: list[Sequences] = []
        recurs: list[np.ndarray] = []
        for split in splits:
            training, held = (self._sequences.take(part) for part in split)
            held = self._unknown_to(training, held)
            parts.append(measure(training, held))
            read.append(held)
            recurs.append(self._recurs(split, held))
        places = held_in(splits)
        sequences = Sequences.of(sequence for held in read for sequence in held)
        return _Unseen(places, sequences, joined(parts), np.concatenate(recurs))

    def _recurs(self, split: Split, held: Sequences) -> np.ndarray:
        """Of each held one, whether others like it were often learned from, or are read alike: as unknown."""
        owners, forms = np.repeat(np.arange(len(held)), held.lengths), held.distinct()[1]
        has_unknown = np.bincount(owners[held.ids == UNKNOWN], minlength=len(held)) > 0
        has_twin = np.bincount(forms)[forms] > 1
        alike = np.bincount(self._kinds[split.training], minlength=len(self._sequences))
        return (alike[self._kinds[split.held]] >= _OFTEN) | (has_unknown & has_twin)

    @cached_property
    def _kinds(self) -> np.ndarray:
        """A number for each sequence, the same for equal ones."""
        return self._sequences.distinct()[1]

    def _lookups(self, training: Sequences) -> tuple[Profile, Grams]:
        return Profile.of(training, self._alphabet.size), Grams.of(training, self._alphabet.size)

    def _read(self, model: LanguageModel, held: Sequences) -> Tally:
        return tally(model, held, self._alphabet.never)

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
            loop = TrainingLoop(trainer, np.zeros(0, np.int64), Plan(steps), self._observe)
            loop.run()
        facts = {"steps": trainer.step, "symbols": trainer.symbols, "threads": torch.get_num_threads()}
        return model.eval(), facts
