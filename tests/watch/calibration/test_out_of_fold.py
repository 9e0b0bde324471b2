"""Calibration sequences are scored by models and lookups that were not trained on them."""

from typing import NamedTuple

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import UNKNOWN
from onward.watch.calibration.out_of_fold import Lookups, OutOfFold, look_up
from onward.watch.calibration.splits import SplitPlan, plan_splits
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.ngram import NgramModel
from onward.watch.scoring.profile import Profile


class Marks(NamedTuple):
    """Scores that only identify their scorer, (n,)."""

    values: np.ndarray

    @classmethod
    def by_others(cls, training: Sequences, held_out: Sequences, unseen_words: np.ndarray) -> "Marks":
        return cls(np.zeros(len(held_out)))

    @classmethod
    def by_itself(cls, sequences: Sequences, unseen_words: np.ndarray) -> "Marks":
        return cls(np.ones(len(sequences)))


def plan_for(events: list[list[str]]) -> SplitPlan:
    return plan_splits(len(events), sum(map(len, events)), folds=5, held_out=None, in_order=False, seed=0)


def encode(events: list[list[str]]) -> tuple[Sequences, EventVocabulary]:
    vocabulary = EventVocabulary.of(events)
    return vocabulary.encode(events), vocabulary


def test_an_event_that_two_sequences_share_is_rarely_new_to_lookups() -> None:
    """Each of these events occurs in two sequences. It is new to a fold that holds both of them."""
    events = [["open", f"v{i // 2}", "read", "close"] for i in range(200)]
    plan, (sequences, vocabulary) = plan_for(events), encode(events)

    def score(training: Sequences, held_out: Sequences, unseen_words: np.ndarray) -> Lookups:
        profile = Profile.of(training, vocabulary.size)
        return look_up(profile, NgramModel.of(training, vocabulary.size), held_out, unseen_words)

    scorer = OutOfFold(sequences, vocabulary)
    by_model_folds, by_lookup_folds = (
        (scorer.score(folds, score).scores.new > 0).mean() for folds in (plan.folds, plan.lookup_folds)
    )
    assert 0.1 < by_model_folds < 0.35
    assert by_lookup_folds < 0.1


def test_events_that_the_training_sequences_lack_are_unknown() -> None:
    events = [["open", f"v{i}", "close"] for i in range(50)]
    plan, (sequences, vocabulary) = plan_for(events), encode(events)
    scorer = OutOfFold(sequences, vocabulary)
    found = scorer.score(plan.folds, Marks.by_others)
    assert all(ids[1] == UNKNOWN != ids[0] for ids in found.sequences)
    assert found.recurs.all()  # with the unknown event, they are all equal
    assert found.unseen_words.tolist() == [1.0] * 50


def test_words_of_unknown_events_that_known_events_have_are_not_unseen() -> None:
    events = [["open", f"read block {i}", "close"] for i in range(50)]
    plan, (sequences, vocabulary) = plan_for(events), encode(events)
    found = OutOfFold(sequences, vocabulary).score(plan.folds, Marks.by_others)
    assert found.unseen_words.tolist() == pytest.approx([1 / 3] * 50)


@pytest.mark.parametrize(("duplicates", "recurs"), [(1, False), (2, False), (40, True)])
def test_the_detector_itself_scores_sequences_with_several_duplicates(duplicates: int, recurs: bool) -> None:
    rng = np.random.default_rng(0)
    events = [[str(event) for event in rng.integers(0, 4, 12)] for _ in range(60)]
    events += [["0", "1"]] * duplicates
    plan, (sequences, vocabulary) = plan_for(events), encode(events)
    scorer = OutOfFold(sequences, vocabulary)
    found = scorer.score(plan.folds, Marks.by_others)
    assert (found.recurs[found.indices >= 60] == recurs).all()
    assert not found.recurs[found.indices < 60].any()
    assert found.with_recurring(Marks.by_itself).values.tolist() == [0.0] * 60 + [float(recurs)] * duplicates
