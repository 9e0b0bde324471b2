import random
from dataclasses import replace

import numpy as np
import pytest

from onward.data.vocabulary import BEGIN
from onward.watch.detector import Detector
from onward.watch.scoring.ngram import ORDER
from onward.watch.scoring.online import OnlineScorer
from onward.watch.scoring.open_sequence import OpenSequence

PARTS = ((0, 13), (13, 20))


@pytest.fixture(scope="module")
def scorer(detector: Detector) -> OnlineScorer:
    return OnlineScorer(
        detector.model,
        detector.vocabulary,
        detector.profile,
        detector.baselines.growing_ngrams,
        detector.mixture,
    )


@pytest.mark.parametrize("events", [[], ["start"], ["start", "read", "boom", "read", "sync", "stop"]])
def test_n_gram_bits_add_up_to_those_of_the_whole_sequence(
    events: list[str], detector: Detector, scorer: OnlineScorer
) -> None:
    vocabulary = detector.vocabulary
    sequence = scorer.open()
    assert (*sequence.earlier, sequence.pending) == (BEGIN,) * (ORDER - 1)
    for event in events:
        scorer.observe([sequence], [[event]])
        sequence = OpenSequence.from_bytes(sequence.to_bytes())
    scorer.end([sequence])
    bits = detector.baselines.ngrams.bits(vocabulary.encode([events]))
    assert sequence.ngram.total == pytest.approx(bits.sum())
    assert sequence.ngram.tops == pytest.approx(tuple([*sorted(bits.tolist(), reverse=True), 0, 0, 0][:4]))


@pytest.mark.parametrize("lanes", [1, 3])
def test_events_that_are_scored_together_have_the_scores_of_single_ones(
    lanes: int, detector: Detector, scorer: OnlineScorer
) -> None:
    chance = random.Random(lanes)
    runs = [chance.choices(["start", "read", "write", "boom", "stop"], k=20) for _ in range(lanes)]
    together, alone = ([scorer.open() for _ in range(lanes)] for _ in range(2))
    single = [[scorer.observe([alone[i]], [[event]])[0][0] for event in run] for i, run in enumerate(runs)]
    found = [*map(list.__add__, *(scorer.observe(together, [run[a:b] for run in runs]) for a, b in PARTS))]
    for events, expected in zip(found, single, strict=True):
        for event, one in zip(events, expected, strict=True):
            assert event.peaks == pytest.approx(one.peaks, rel=1e-5)
            assert replace(event.score, bits=0.0, expected=()) == replace(one.score, bits=0.0, expected=())
            assert event.score.bits == pytest.approx(one.score.bits, rel=1e-5)
    for sequence, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(sequence.state, expected.state, rtol=1e-5, atol=1e-6)
        assert (sequence.length, sequence.counts, sequence.earlier, sequence.pending) == (
            expected.length,
            expected.counts,
            expected.earlier,
            expected.pending,
        )


def test_no_sequences_have_no_scores(scorer: OnlineScorer) -> None:
    assert scorer.observe([], []) == []
    assert scorer.observe([scorer.open()], [[]]) == [[]]
