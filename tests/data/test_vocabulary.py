import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN, SymbolKind, Vocabulary, lower_case
from onward.errors import VocabularyError

ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"))  # U+FFFD is encoded as UNKNOWN
WILD_TEXT = st.text(st.characters(categories=("L", "N", "P", "Z", "C")))  # with lone surrogates
KINDS: st.SearchStrategy[SymbolKind] = st.sampled_from(["characters", "words"])


@given(WILD_TEXT.filter(lambda text: "\ufffd" not in text), KINDS)
def test_encoding_and_decoding_returns_the_text(text: str, kind: SymbolKind) -> None:
    vocabulary = Vocabulary.of_text(text, kind)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert UNKNOWN not in ids


@given(st.binary())
def test_encoding_and_decoding_returns_any_bytes(raw: bytes) -> None:
    vocabulary = Vocabulary.of_bytes()
    assert vocabulary.decode_bytes(vocabulary.encode(raw)) == raw
    assert vocabulary.decode(vocabulary.encode(raw)) == raw.decode("utf-8", "replace")


@given(ANY_TEXT)
def test_a_vocabulary_of_bytes_encodes_text_as_utf8(text: str) -> None:
    vocabulary = Vocabulary.of_bytes()
    assert vocabulary.encode(text).tolist() == vocabulary.encode(text.encode()).tolist()
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(WILD_TEXT, st.one_of(WILD_TEXT, st.binary()), KINDS, st.booleans())
def test_any_content_can_be_encoded(known: str, other: str | bytes, kind: SymbolKind, lower: bool) -> None:
    vocabulary = Vocabulary.of_text(known, kind, lower=lower)
    ids = vocabulary.encode(other)
    assert ids.ndim == 1
    assert ids.dtype == vocabulary.dtype
    assert ids.max(initial=0) < len(vocabulary)


@given(WILD_TEXT, WILD_TEXT, st.booleans())
def test_characters_do_not_depend_on_their_neighbours(first: str, second: str, lower: bool) -> None:
    vocabulary = Vocabulary.of_text(first + second, "characters", lower=lower)
    parts = [*vocabulary.encode(first), *vocabulary.encode(second)]
    assert vocabulary.encode(first + second).tolist() == parts


@given(WILD_TEXT)
def test_lower_case_lowers_each_character_by_itself(text: str) -> None:
    assert lower_case(text) == "".join(character.lower() for character in text)


def test_the_special_ids() -> None:
    vocabulary = Vocabulary.of_text("ab", "characters")
    assert (NULL, UNKNOWN, BEGIN, END) == (0, 1, 2, 3)
    assert vocabulary.encode("\0a\ufffdz").tolist() == [NULL, 4, UNKNOWN, UNKNOWN]
    assert vocabulary.encode(b"a\xff\r\n").tolist() == [4, UNKNOWN, UNKNOWN, UNKNOWN]
    assert vocabulary.decode([NULL, UNKNOWN, BEGIN, 4, END]) == "\0\ufffda"
    assert len(vocabulary) == 6


@given(st.text(max_size=5), st.characters(exclude_characters="\0"))
def test_symbols_outside_the_vocabulary_are_unknown(known: str, other: str) -> None:
    vocabulary = Vocabulary.of_text(known, "characters")
    everything = "".join(map(chr, range(1, 1000))) + other
    assert vocabulary.decode(vocabulary.encode(everything)) == "".join(
        character if character in known else "\ufffd" for character in everything
    )


def test_symbols_are_sorted_by_code_point() -> None:
    assert Vocabulary.of_text("bé\na\0\ufffdb", "characters").symbols == ("\n", "a", "b", "é")
    assert Vocabulary.of_text("to be, or not to be", "words").symbols == (" ", ",", "be", "not", "or", "to")


def test_line_ends_are_symbols() -> None:
    vocabulary = Vocabulary.of_text("a\r\nb\n", "characters")
    assert vocabulary.decode(vocabulary.encode("a\r\nb\n")) == "a\r\nb\n"


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_rare_symbols_are_unknown(kind: SymbolKind) -> None:
    vocabulary = Vocabulary.of_text("a a b a", kind, min_count=2)
    assert vocabulary.symbols == (" ", "a")
    assert vocabulary.decode(vocabulary.encode("a b")) == "a \ufffd"


def test_text_is_lower_cased() -> None:
    vocabulary = Vocabulary.of_text("Ab ΑΣ", "characters", lower=True)
    assert vocabulary.decode(vocabulary.encode("AB ΑΣ")) == "ab ασ"
    assert Vocabulary.of_bytes(lower=True).decode(Vocabulary.of_bytes(lower=True).encode("AÉ")) == "aÉ"


@pytest.mark.parametrize(
    ("size", "dtype"), [(252, np.uint8), (253, np.uint16), (65_532, np.uint16), (65_533, np.uint32)]
)
def test_ids_have_the_smallest_type_that_holds_them(size: int, dtype: type) -> None:
    vocabulary = Vocabulary("characters", (chr(0x10000 + i) for i in range(size)))
    assert vocabulary.encode(chr(0x10000 + size - 1)).tolist() == [size + 3]
    assert vocabulary.dtype == dtype


@given(WILD_TEXT, KINDS, st.booleans())
def test_a_vocabulary_survives_json(text: str, kind: SymbolKind, lower: bool) -> None:
    vocabulary = Vocabulary.of_text(text, kind, lower=lower)
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.digest == vocabulary.digest


def test_vocabularies_that_encode_differently_are_not_equal() -> None:
    made = [
        Vocabulary.of_bytes(),
        Vocabulary.of_bytes(lower=True),
        Vocabulary.of_text("a", "characters"),
        Vocabulary.of_text("a", "words"),
        Vocabulary.of_text("b", "words"),
    ]
    assert len(set(made)) == len({vocabulary.digest for vocabulary in made}) == 5


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": "characters", "lower": False},
        {"kind": "letters", "lower": False, "symbols": []},
        {"kind": ["characters"], "lower": False, "symbols": []},
        {"kind": "characters", "lower": 1, "symbols": []},
        {"kind": "characters", "lower": False, "symbols": None},
        {"kind": "characters", "lower": False, "symbols": "ab"},
        {"kind": "characters", "lower": False, "symbols": [1]},
        {"kind": "characters", "lower": False, "symbols": ["a", "a"]},
        {"kind": "characters", "lower": False, "symbols": ["ab"]},
        {"kind": "characters", "lower": False, "symbols": [""]},
        {"kind": "characters", "lower": False, "symbols": ["\0"]},
        {"kind": "words", "lower": False, "symbols": ["two words"]},
        {"kind": "words", "lower": False, "symbols": ["\ufffd"]},
        {"kind": "bytes", "lower": False, "symbols": ["a"]},
        {"kind": "bytes", "lower": False, "symbols": None, "more": 1},
    ],
)
def test_other_json_is_refused(data: Any) -> None:
    with pytest.raises(VocabularyError):
        Vocabulary.from_json(data)


@pytest.mark.parametrize("ids", [[-1], [6], [0, 99], np.array([1.0]), [True]])
@pytest.mark.parametrize("name", ["decode", "decode_bytes"])
def test_ids_outside_the_vocabulary_are_refused(name: str, ids: Any) -> None:
    with pytest.raises(VocabularyError, match="from 0 to 5"):
        getattr(Vocabulary.of_text("ab", "characters"), name)(ids)


def test_names_of_symbols_are_printable() -> None:
    characters = Vocabulary.of_text("\n a\ud800", "characters")
    assert [characters.symbol(i) for i in range(8)] == [
        "<null>", "<unknown>", "<begin>", "<end>", r"\n", " ", "a", r"\ud800",
    ]  # fmt: skip
    names = [Vocabulary.of_bytes().symbol(i) for i in range(len(Vocabulary.of_bytes()))]
    assert names[3 + ord("e")] == "e"
    assert names[3 + 0x8F] == "0x8f"
    assert all(name.isprintable() for name in names)
    assert len(set(names)) == 259
    with pytest.raises(VocabularyError):
        characters.symbol(8)
    word = Vocabulary.of_text("می\u200cرود", "words")  # only the joiner is escaped
    assert word.symbol(4) == "می\\u200cرود"


@given(st.one_of(st.binary(), ANY_TEXT), st.lists(st.integers(0, 9), max_size=20))
def test_a_stream_decodes_like_the_whole(content: str | bytes, cuts: list[int]) -> None:
    vocabulary = Vocabulary.of_bytes()
    ids = vocabulary.encode(content)
    decoder = vocabulary.decoder()
    text, start = "", 0
    for size in cuts:
        text += decoder.feed(ids[start : start + size])
        start += size
    text += decoder.feed(ids[start:]) + decoder.finish()
    assert text == vocabulary.decode(ids)
    assert decoder.feed(vocabulary.encode("a")) + decoder.finish() == "a"


def test_a_stream_waits_only_for_an_incomplete_character() -> None:
    vocabulary = Vocabulary.of_bytes()
    decoder = vocabulary.decoder()
    assert [decoder.feed([i]) for i in vocabulary.encode("aé€\U0001f600b")] == [
        "a", "", "é", "", "", "€", "", "", "", "\U0001f600", "b",
    ]  # fmt: skip


def test_a_stream_of_words_never_waits() -> None:
    vocabulary = Vocabulary.of_text("to be", "words")
    decoder = vocabulary.decoder()
    assert [decoder.feed([i]) for i in vocabulary.encode("be to x")] == ["be", " ", "to", " ", "\ufffd"]
    assert decoder.finish() == ""
