import pytest

from onward.data.vocabulary import BEGIN, END
from onward.watch.detector import Detector
from onward.watch.scoring.event_vocabulary import END_NAME
from onward.watch.scoring.ngram import ORDER
from onward.watch.scoring.online import OnlineScorer
from onward.watch.scoring.open_sequence import OpenSequence


@pytest.fixture(scope="module")
def scorer(detector: Detector) -> OnlineScorer:
    return OnlineScorer(detector.model, detector.vocabulary, detector.profile, detector.baselines.ngrams)


@pytest.mark.parametrize("events", [[], ["start"], ["start", "read", "boom", "read", "sync", "stop"]])
def test_n_gram_bits_add_up_to_those_of_the_whole_sequence(
    events: list[str], detector: Detector, scorer: OnlineScorer
) -> None:
    vocabulary = detector.vocabulary
    sequence = scorer.open()
    assert (*sequence.earlier, sequence.pending) == (BEGIN,) * (ORDER - 1)
    for event in events:
        scorer.add([sequence], [vocabulary.id(event)], [event])
        sequence.advance(vocabulary.id(event))
        sequence = OpenSequence.from_bytes(sequence.to_bytes())
    scorer.add([sequence], [END], [END_NAME])
    expected = detector.baselines.ngrams.totals(vocabulary.encode([events]))[0]
    assert sequence.table == pytest.approx(expected)


def test_no_sequences_have_no_scores(scorer: OnlineScorer) -> None:
    assert scorer.add([], [], []) == []
