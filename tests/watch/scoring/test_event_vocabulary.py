"""Names of events and their ids."""

import pytest

from onward.data.vocabulary import BEGIN, NULL, SPECIAL, UNKNOWN
from onward.watch.scoring import event_vocabulary as module
from onward.watch.scoring.event_vocabulary import EventVocabulary

FIRST = len(SPECIAL)


def test_the_commonest_events_come_first_and_equals_by_name():
    alphabet = EventVocabulary.of([["b", "a", "c"], ["c", "<null>"]])
    assert alphabet.names == ("c", "<null>", "a", "b")
    assert [alphabet.id(name) for name in ("c", "a", "never")] == [FIRST, FIRST + 2, UNKNOWN]
    assert [alphabet.name(i) for i in range(FIRST, alphabet.size)] == list(alphabet.names)
    assert [ids.tolist() for ids in alphabet.encode([["c", "x"], []])] == [[FIRST, UNKNOWN], []]
    assert len(alphabet.vocabulary) == alphabet.size


def test_of_many_events_the_rarest_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 2)
    alphabet = EventVocabulary.of([["a"] * 3, ["b"] * 2, ["c"]])
    assert alphabet.names == ("a", "b") and alphabet.id("c") == UNKNOWN


def test_an_event_that_is_named_as_the_unknown_one_is_unknown():
    alphabet = EventVocabulary.of([["<unknown>", "a"]])
    assert alphabet.names == ("a",) and alphabet.id("<unknown>") == UNKNOWN


def test_bytes_have_all_their_characters():
    alphabet = EventVocabulary(None)
    ids = {alphabet.id(chr(byte)) for byte in range(256)}
    assert len(ids) == 256 and alphabet.id("\0") == NULL
    assert all(alphabet.name(alphabet.id(chr(byte))) == chr(byte) for byte in range(1, 256))
    assert alphabet.id("\u0101") == UNKNOWN
    assert alphabet.never == [BEGIN] and EventVocabulary(["a"]).never == [NULL, BEGIN]
    assert len(alphabet.vocabulary) == alphabet.size


@pytest.mark.parametrize("alphabet", [EventVocabulary(["x", "\n", "\U0001f600"]), EventVocabulary(None)])
def test_plain_values_hold_all_of_it(alphabet: EventVocabulary) -> None:
    again = EventVocabulary.from_json(alphabet.to_json())
    assert again.names == alphabet.names and again.is_bytes == alphabet.is_bytes


@pytest.mark.parametrize("data", ["abc", [1], {"a": 1}, 7])
def test_anything_else_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="list of names"):
        EventVocabulary.from_json(data)
