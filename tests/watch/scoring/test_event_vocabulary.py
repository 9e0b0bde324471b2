import pytest

from onward.data.vocabulary import BEGIN, NULL, SPECIAL, UNKNOWN
from onward.watch.scoring.event_vocabulary import MOST_EVENTS, EventVocabulary

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


@pytest.mark.parametrize("vocabulary", [EventVocabulary(["x", "\n", "\U0001f600"]), EventVocabulary(None)])
def test_json_restores_the_vocabulary(vocabulary: EventVocabulary) -> None:
    again = EventVocabulary.from_json(vocabulary.to_json())
    assert again.names == vocabulary.names
    assert again.is_bytes == vocabulary.is_bytes


@pytest.mark.parametrize("data", ["abc", [1], {"a": 1}, 7])
def test_data_that_is_not_a_list_of_names_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="list of names"):
        EventVocabulary.from_json(data)


@pytest.mark.parametrize("data", [["a", "a"], [str(i) for i in range(MOST_EVENTS + 1)]])
def test_too_many_or_equal_names_are_refused(data: list[str]) -> None:
    with pytest.raises(ValueError, match="at most 10,000 distinct event names"):
        EventVocabulary.from_json(data)
