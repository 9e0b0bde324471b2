r"""Key patterns: regular expressions that find the key of a log line, in a time linear in its length.

Patterns come from users and from files, and lines from anywhere. Python's `re` takes exponential time for
some pairs of both, such as (a+)+$ and a line of a's. Therefore RE2 does the matching. It has no lookarounds
and no backreferences, and it understands some syntax differently. A pattern must be valid in Python too, and
is translated, so that RE2 finds what `re` would find. One difference remains: \b only knows ASCII letters.
"""

import re
from functools import cache

import numpy as np
import re2

from onward.errors import InputError

LONGEST_PATTERN = 1000
"""The longest pattern, in characters."""

SEARCHED = 10_000
"""Characters at the start of a line in which the key is searched for; the rest is ignored."""

_HINT = (
    "key patterns have the syntax of RE2 (https://github.com/google/re2/wiki/Syntax): leave out lookarounds, "
    "backreferences, possessive quantifiers and repetitions above 1,000"
)
_SET_OR_ESCAPE = re.compile(r"\[(\^?\]?)((?:\\.|[^]\\])*)\]|(\\u.{4}|\\U.{8}|\\.)|(\{)(?=,\d+\})", re.DOTALL)
_MEMBER = re.compile(r"(\\u.{4}|\\U.{8}|\\.|\[)", re.DOTALL)
_SYNTAX = {r"\Z": r"\z"}
_CHARACTERS = {r"\b": r"\x08", "[": r"\["}
"""Escapes outside and inside of a set that RE2 writes in another way."""


class KeyPattern:
    """Finds the key of a line.

    Args:
        pattern: the regular expression. Its first group that takes part in the match is the key, or the whole
            match if it has no group.
        longest: maximum number of characters of the pattern.

    Raises:
        InputError: the pattern is not a regular expression, or RE2 cannot match it.
    """

    def __init__(self, pattern: str, longest: int = LONGEST_PATTERN) -> None:
        if len(pattern) > longest:
            raise InputError(
                f"expected a key pattern of at most {longest:,} characters, got {len(pattern):,}",
                hint="find the key by a shorter pattern",
            )
        try:
            re.compile(pattern)
            translated = _SET_OR_ESCAPE.sub(_translated, pattern).encode()
        except (re.error, OverflowError, RecursionError, UnicodeEncodeError) as error:
            raise InputError(
                f"expected a regular expression, got {pattern!r}: {error}", hint="correct the key pattern"
            ) from error
        options = re2.Options()
        options.log_errors = False
        try:
            self._regex = re2.compile(translated, options)
        except re2.error as error:
            message = f"expected a pattern that RE2 can match in linear time, got {pattern!r}"
            raise InputError(f"{message}: {error.args[0].decode()}", hint=_HINT) from error
        self._places = sorted((place - 1, name.decode()) for name, place in self._regex.groupindex.items())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the groups, in their order."""
        return tuple(name for _, name in self._places)

    def find(self, line: str) -> str | None:
        """Returns the key of a line: its first group that took part in the match, or "" if none did.

        Returns None if the pattern does not match. Lines are read up to `SEARCHED` characters.
        """
        found = self._regex.search(line[:SEARCHED].encode("utf-8", "replace"))
        if not found:
            return None
        groups = found.groups() if self._regex.groups else (found[0],)
        return next((group.decode() for group in groups if group is not None), "")

    def named(self, line: str) -> dict[str, str] | None:
        """Returns the named groups that took part in the match; None if the pattern does not match."""
        found = self._regex.search(line[:SEARCHED].encode("utf-8", "replace"))
        if found is None:
            return None
        parts = found.groups()
        return {name: part.decode() for place, name in self._places if (part := parts[place]) is not None}


def _translated(part: re.Match[str]) -> str:
    """Returns a set, an escape or the start of a repetition in the syntax of RE2."""
    start, members, escape, _ = part.groups()
    if members is not None:
        return f"[{start}{_MEMBER.sub(lambda member: _member(member[0]), members)}]"
    if escape is None:
        return "{0"
    if escape in _SYNTAX or escape[1] in "bBAZ":
        return _SYNTAX.get(escape, escape)
    return f"[{_member(escape)}]" if escape[1] in "dDsSwW" else _member(escape)


def _member(member: str) -> str:
    """Returns a member of a set in the syntax of RE2."""
    if member in _CHARACTERS:
        return _CHARACTERS[member]
    if member[1] in "dDsSwW":
        return _characters_of(member)
    if member[1] in "uU":
        return f"\\x{{{member[2:]}}}"
    return member if re.match("[a-zA-Z0-9]", member[1]) else re2.escape(member[1])


@cache
def _characters_of(escape: str) -> str:
    r"""Returns the characters that an escape such as \w stands for in Python, as ranges of code points.

    In RE2 it stands for ASCII characters only.
    """
    everything = np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    runs = re.finditer(f"{escape}+", everything)
    return "".join(f"\\x{{{run.start():x}}}-\\x{{{run.end() - 1:x}}}" for run in runs)
