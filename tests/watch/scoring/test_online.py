"""Open sequences note what an n-gram makes of them, event by event."""

import pytest

from onward.data.vocabulary import BEGIN, END
from onward.watch.detector import Detector
from onward.watch.scoring.event_vocabulary import END_NAME
from onward.watch.scoring.ngram import ORDER
from onward.watch.scoring.online import EventReader
from onward.watch.scoring.open_sequence import OpenSequence


@pytest.mark.parametrize("events", [[], ["start"], ["start", "read", "boom", "read", "sync", "stop"]])
def test_the_bits_by_the_table_are_those_of_the_whole_sequence(events: list[str], detector: Detector):
    grams, alphabet = detector.baselines.grams, detector.alphabet
    reader = EventReader(detector.model, alphabet, detector.profile, grams)
    sequence = reader.open()
    assert (*sequence.earlier, sequence.pending) == (BEGIN,) * (ORDER - 1)
    for event in events:
        reader.take([sequence], [alphabet.id(event)], [event])
        sequence.move_to(alphabet.id(event))
        sequence = OpenSequence.from_bytes(sequence.to_bytes())
    reader.take([sequence], [END], [END_NAME])
    assert sequence.table == pytest.approx(grams.totals(alphabet.encode([events]))[0])
    assert reader.take([], [], []) == []
