"""Words with combining marks and joiners."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.data.vocabulary import UNKNOWN, Vocabulary
from onward.data.words import LONGEST_WORD, has_no_spaces, last_word_length, split_words

WORDS = [
    "\u0939\u093f\u0928\u094d\u0926\u0940",  # Hindi, with vowel signs and a virama
    "\u0915\u094d\u200d\u0937",  # with a joiner
    unicodedata.normalize("NFD", "ét\u1ec7"),
    "\u0645\u06cc\u200c\u0631\u0648\u0645",  # Persian, with a non-joiner
    "\u0e17\u0e35\u0e48",  # Thai, with a vowel and a tone
]


@pytest.mark.parametrize("word", WORDS, ids=ascii)
def test_a_word_has_its_marks_and_joiners(word: str) -> None:
    text = f"a {word}, {word}"
    assert split_words(text) == ["a", " ", word, ",", " ", word]
    assert last_word_length(text) == len(word)
    vocabulary = Vocabulary.of_text(text, "words")
    assert word in vocabulary.symbols
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary.encode(text)) == 6


@given(st.text(st.one_of(st.characters(), st.sampled_from("".join(WORDS))), max_size=30), st.booleans())
def test_a_text_is_its_words_joined(text: str, marks: bool) -> None:
    words = split_words(text, marks=marks)
    assert "".join(words) == text
    assert all(len(word) <= LONGEST_WORD for word in words)
    if last := last_word_length(text, marks=marks):
        assert text.endswith(words[-1])
        assert len(words[-1]) == last


@pytest.mark.parametrize("word", WORDS, ids=ascii)
def test_a_vocabulary_of_an_earlier_version_splits_words_at_marks(word: str) -> None:
    stored = {"kind": "words", "lower": False, "symbols": sorted({" ", *word})}
    earlier = Vocabulary.from_json(stored)
    assert earlier.to_json() == stored
    assert earlier.digest != Vocabulary("words", stored["symbols"]).digest
    split = split_words(word, marks=False)
    assert len(split) > 1
    known = [UNKNOWN if len(part) > 1 else 4 + stored["symbols"].index(part) for part in split]
    assert earlier.encode(word).tolist() == known


@pytest.mark.parametrize(
    ("text", "expected"), [("\u4e2d\u306e\u30ab\u0e17\u1780\u3005", True), ("a\u0939\uac00\u3002 ", False)]
)
def test_scripts_without_spaces(text: str, expected: bool) -> None:
    assert [has_no_spaces(character) for character in text] == [expected] * len(text)
