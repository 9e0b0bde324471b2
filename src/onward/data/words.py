"""Words: runs of letters, digits and underscores (`\\w`), with the combining marks and joiners within them.

Python's `\\w` does not match combining marks, such as the vowel signs of Hindi and Thai and the accents of
decomposed Latin letters, nor the joiners of Indian scripts and Persian. Both are part of the word.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

LONGEST_WORD = 256
"""In characters. Longer runs are split into several words, so that texts without spaces fit into memory."""

_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
"""Zero-width joiners and variation selectors. They continue a word, but they also occur in emoji."""

_PLANES_WITH_MARKS = range(0x300, 0x20000), range(0xE0100, 0xE01F0)
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff"  # Thai to
    "\uaa60-\uaadf"  # Myanmar
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # Chinese
)


def split_words(text: str, *, marks: bool = True) -> list[str]:
    """Returns the words of a text and the characters between them, in order.

    Args:
        text: any text.
        marks: whether combining marks and joiners are part of words.
    """
    return _pattern(marks and not text.isascii()).findall(text)


def last_word_length(text: str, *, marks: bool = True) -> int:
    """Returns the number of word characters at the end of a text."""
    found = _run(marks).match(text[::-1])  # a search for them from the start takes quadratic time
    return found.end() if found else 0


def is_word(text: str) -> bool:
    """Whether a text is a word or a part of one."""
    return continues_word(text) and not all(character in _JOINERS for character in text)


def continues_word(text: str) -> bool:
    """Whether a text after a word is part of it: a part of a word, or a joiner."""
    return bool(text) and bool(_run(True).fullmatch(text))


def is_symbol(text: str, *, marks: bool = True) -> bool:
    """Whether `split_words` may return this text."""
    return bool(_pattern(marks).fullmatch(text))


def has_no_spaces(character: str) -> bool:
    """Whether a character belongs to a script that puts no spaces between words, such as Chinese or Thai."""
    return bool(_SPACELESS.fullmatch(character))


@cache
def _pattern(marks: bool) -> re.Pattern[str]:
    """Returns the pattern of a word or of another character."""
    return re.compile(rf"{_class(marks)}{{1,{LONGEST_WORD}}}|[\s\S]")


@cache
def _run(marks: bool) -> re.Pattern[str]:
    """Returns the pattern of a run of word characters, which may be empty."""
    return re.compile(f"{_class(marks)}*")


@cache
def _class(marks: bool) -> str:
    """Returns the set of word characters, for a pattern."""
    return rf"[\w{_JOINERS}{''.join(_ranges(_marks()))}]" if marks else r"\w"


def _marks() -> Iterable[int]:
    for plane in _PLANES_WITH_MARKS:
        yield from (point for point in plane if unicodedata.category(chr(point)).startswith("M"))


def _ranges(points: Iterable[int]) -> Iterable[str]:
    """Yields ascending code points as ranges of a pattern."""
    first = last = -1
    for point in points:
        if point != last + 1:
            if last >= 0:
                yield f"{chr(first)}-{chr(last)}"
            first = point
        last = point
    yield f"{chr(first)}-{chr(last)}"
