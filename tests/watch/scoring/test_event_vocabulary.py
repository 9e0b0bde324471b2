import json

import pytest

from onward.data.vocabulary import BEGIN, NULL, SPECIAL, UNKNOWN
from onward.watch.scoring.event_vocabulary import MOST_EVENTS, MOST_LATER, EventVocabulary

FIRST = len(SPECIAL)


def test_the_most_frequent_events_come_first_and_equally_frequent_ones_by_name() -> None:
    vocabulary = EventVocabulary.of([["b", "a", "c"], ["c", "<null>"]])
    assert vocabulary.names == ("c", "<null>", "a", "b")
    assert [vocabulary.id(name) for name in ("c", "a", "never")] == [FIRST, FIRST + 2, UNKNOWN]
    assert [vocabulary.name(i) for i in range(FIRST, vocabulary.size)] == list(vocabulary.names)
    assert [ids.tolist() for ids in vocabulary.encode([["c", "x"], []])] == [[FIRST, UNKNOWN], []]
    assert len(vocabulary.model_vocabulary) == vocabulary.size


def test_with_too_many_distinct_events_the_rarest_are_unknown() -> None:
    vocabulary = EventVocabulary.of([[str(i) for i in range(MOST_EVENTS)] * 2, ["rare"]])
    assert len(vocabulary.names) == MOST_EVENTS
    assert vocabulary.id("rare") == UNKNOWN != vocabulary.id("9999")


def test_an_event_with_the_name_of_the_unknown_event_is_unknown() -> None:
    vocabulary = EventVocabulary.of([["<unknown>", "a"]])
    assert vocabulary.names == ("a",)
    assert vocabulary.id("<unknown>") == UNKNOWN


def test_a_vocabulary_of_bytes_has_all_bytes() -> None:
    vocabulary = EventVocabulary(None)
    ids = {vocabulary.id(chr(byte)) for byte in range(256)}
    assert len(ids) == 256
    assert vocabulary.id("\0") == NULL
    assert all(vocabulary.name(vocabulary.id(chr(byte))) == chr(byte) for byte in range(1, 256))
    assert vocabulary.id("\u0101") == UNKNOWN
    assert len(vocabulary.model_vocabulary) == vocabulary.size


def test_special_ids_that_no_sequence_contains_are_excluded() -> None:
    assert EventVocabulary(None).excluded == [BEGIN]
    assert EventVocabulary(["a"]).excluded == [NULL, BEGIN]


def test_events_that_are_learned_later_have_spare_ids() -> None:
    trained = EventVocabulary(["a", "b"])
    vocabulary = trained.extend([["a", "new"], ["<unknown>", "newer", "new"]])
    assert vocabulary.names == ("a", "b", "new", "newer")
    assert vocabulary.later == ("new", "newer")
    assert (vocabulary.size, vocabulary.symbols) == (trained.size, trained.symbols)
    ids = vocabulary.encode([["b", "newer", "never"]]).ids
    assert ids.tolist() == [FIRST + 1, FIRST + 3, UNKNOWN]
    assert vocabulary.model_ids(ids).tolist() == [FIRST + 1, UNKNOWN, UNKNOWN]
    assert max(ids) < vocabulary.symbols


def test_spare_ids_are_limited() -> None:
    vocabulary = EventVocabulary(["a"]).extend([[str(i) for i in range(MOST_LATER + 10)]])
    assert len(vocabulary.later) == MOST_LATER
    assert vocabulary.extend([["another"]]).later == vocabulary.later
    assert vocabulary.encode([["another", str(MOST_LATER - 1)]]).ids.tolist() == [
        UNKNOWN,
        vocabulary.symbols - 1,
    ]


def test_bytes_are_all_known() -> None:
    vocabulary = EventVocabulary(None)
    assert vocabulary.extend([["\u0101"]]).later == ()
    assert vocabulary.symbols == vocabulary.size


@pytest.mark.parametrize(
    "vocabulary",
    [
        EventVocabulary(["x", "\n", "\U0001f600"]),
        EventVocabulary(None),
        EventVocabulary(["x"], ["y", "z"]),
    ],
)
def test_json_restores_the_vocabulary(vocabulary: EventVocabulary) -> None:
    again = EventVocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again.names == vocabulary.names
    assert again.later == vocabulary.later
    assert again.is_bytes == vocabulary.is_bytes


@pytest.mark.parametrize(
    "data",
    [
        "abc",
        {"names": [1], "later": []},
        {"names": ["a"]},
        {"names": ["a", "a"], "later": []},
        {"names": ["a"], "later": ["a"]},
        {"names": None, "later": ["a"]},
        {"names": [str(i) for i in range(MOST_EVENTS + 1)], "later": []},
        {"names": ["a"], "later": [str(i) for i in range(MOST_LATER + 1)]},
    ],
)
def test_data_that_is_not_a_vocabulary_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r"names|later|dictionary"):
        EventVocabulary.from_json(data)
