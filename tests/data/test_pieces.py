from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from onward.data.pieces import SymbolCounter, pieces
from onward.data.vocabulary import SymbolKind, Vocabulary, as_text, split
from onward.data.words import LONGEST_WORD

KINDS = st.sampled_from(get_args(SymbolKind))


def cut(raw: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(raw[:size])
        raw = raw[size:]
    return [*parts, raw]


@given(st.one_of(st.binary(), st.text().map(str.encode)), st.lists(st.integers(0, 5)), KINDS)
def test_pieces_have_the_same_symbols_as_the_whole(raw: bytes, sizes: list[int], kind: SymbolKind) -> None:
    whole = Vocabulary.of_text(raw.decode("utf-8", "replace"), kind)
    found = [i for piece in pieces(cut(raw, sizes), kind) for i in whole.encode(piece).tolist()]
    assert found == whole.encode(raw).tolist()


@given(st.text(), st.lists(st.integers(0, 5)), KINDS, st.booleans(), st.integers(1, 3))
def test_counting_pieces_equals_counting_the_whole(
    text: str, sizes: list[int], kind: SymbolKind, lower: bool, min_count: int
) -> None:
    counter = SymbolCounter(kind, lower=lower)
    for piece in pieces(cut(text.encode(), sizes), kind):
        counter.add(piece)
    assert counter.vocabulary(min_count) == Vocabulary.of_text(text, kind, lower=lower, min_count=min_count)


@given(st.integers(0, 3 * LONGEST_WORD), st.integers(1, 3 * LONGEST_WORD), st.integers(1, LONGEST_WORD))
def test_a_run_without_spaces_is_always_split_at_the_same_places(before: int, length: int, size: int) -> None:
    raw = b"." * before + b"x" * length + b" y"
    parts = [raw[i : i + size] for i in range(0, len(raw), size)]
    found = [as_text(piece) for piece in pieces(parts, "words")]
    assert "".join(found).encode() == raw
    assert max(map(len, found)) <= size + LONGEST_WORD
    assert [word for piece in found for word in split(piece, "words")] == [*split(raw.decode(), "words")]
