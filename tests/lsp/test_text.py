"""Positions count code units, and edits leave the text as the client has it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.lsp.text import DocumentText, Encoding, TextPosition

TEXTS = st.text(st.sampled_from("ab \r\n\u00e9\u4e2d\U0001f600\f\u2028"), max_size=30)
CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")


def position_of(text: str, offset: int, encoding: Encoding) -> TextPosition:
    """Returns the position of an offset, found by encoding the text before it."""
    ends = [found.end() for found in re.finditer("\r\n|\n|\r", text) if found.end() <= offset]
    before = text[ends[-1] if ends else 0 : offset]
    codec, width = CODECS[encoding]
    return TextPosition(len(ends), len(before.encode(codec)) // width)


@given(TEXTS, st.sampled_from(ENCODINGS))
def test_a_position_is_that_of_its_offset(text: str, encoding: Encoding) -> None:
    document = DocumentText(text, encoding)
    for offset in range(len(text) + 1):
        position = document.position(offset)
        assert position == position_of(text, offset, encoding)
        within_end = text[max(0, offset - 1) : offset + 1] == "\r\n"
        assert document.offset(position) == offset - within_end


@given(TEXTS, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), TEXTS), max_size=6))
def test_after_edits_a_document_is_like_a_new_one(text: str, edits: list[tuple[int, int, str]]) -> None:
    document = DocumentText(text)
    for at, size, insert in edits:
        start = min(at, len(text))
        end = min(start + size, len(text))
        document.replace(start, end, insert)
        text = text[:start] + insert + text[end:]
        assert document.text == text
        fresh = DocumentText(text)
        for offset in range(len(text) + 1):
            assert document.position(offset) == fresh.position(offset)


@pytest.mark.parametrize(
    ("encoding", "character", "offset"),
    [
        ("utf-16", 1, 1),
        ("utf-16", 2, 1),
        ("utf-16", 3, 2),
        ("utf-8", 3, 1),
        ("utf-8", 5, 2),
        ("utf-32", 2, 2),
    ],
)
def test_a_position_within_a_character_is_before_it(encoding: Encoding, character: int, offset: int) -> None:
    document = DocumentText("a\U0001f600b\r\nc", encoding)
    assert document.offset(TextPosition(0, character)) == offset


def test_positions_beyond_the_end_are_at_the_end() -> None:
    document = DocumentText("ab\r\nc\U0001f600")
    assert document.offset(TextPosition(0, 99)) == 2
    assert document.offset(TextPosition(1, 99)) == 6
    assert document.offset(TextPosition(99, 0)) == 6
    assert DocumentText("").offset(TextPosition(3, 4)) == 0
