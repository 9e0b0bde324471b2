"""The suffix automaton of a text: it finds the longest match that ends at each symbol in linear time.

The automaton (Blumer et al. 1985) accepts the substrings of a text. Each state stands for the substrings
that end at the same places of the text; its link leads to the state of their longest suffix that ends at more
places. Documents are walked through it symbol by symbol: a state and a length are the longest substring of
the text that ends at this symbol. Each state keeps its longest match and the place where it ended first. At
the end, links pass matches on, because where a string occurs, its suffixes occur too.

The compiled automaton takes about 160 bytes for each symbol of the text. Without a C compiler, Python does
the same, thirty times as slowly and with several times the memory.
"""

import ctypes
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from onward.libraries import installed_library

SYMBOL = np.uint32
"""Type of symbols."""


class Matches(NamedTuple):
    """The longest match that ends at each symbol of a text of N symbols.

    Attributes:
        lengths: their lengths, 0 if there is none, (N,).
        ends: number of symbols of all documents up to the first place where each ends, (N,).
        lines: number of line ends among these symbols, (N,).
    """

    lengths: np.ndarray
    ends: np.ndarray
    lines: np.ndarray


class Automaton(ABC):
    """The automaton of a text, through which documents are walked. `finish` ends the walk."""

    @abstractmethod
    def begin_document(self) -> None:
        """Begins a document. Matches do not continue from one document to the next."""

    @abstractmethod
    def read(self, symbols: np.ndarray) -> None:
        """Walks the next symbols (n,) of the document."""

    @abstractmethod
    def finish(self) -> Matches:
        """Returns the matches between the text and all documents."""


def automaton_of(text: np.ndarray, *, minimum: int, newline: int) -> Automaton:
    """Returns the automaton of a text.

    Args:
        text: its symbols, (N,).
        minimum: length of the shortest match.
        newline: the symbol that ends a line.
    """
    made = CompiledAutomaton if available else ReferenceAutomaton
    return made(text, minimum=minimum, newline=newline)


class CompiledAutomaton(Automaton):
    """An automaton in C (automaton.c). The arguments are those of `automaton_of`."""

    def __init__(self, text: np.ndarray, *, minimum: int, newline: int) -> None:
        self._size = size = len(text)
        states, edges = 2 * size + 1, 3 * size + 1
        slots = 1 << (3 * edges // 2).bit_length()
        self._arrays: dict[str, np.ndarray] = {
            **{name: np.empty(states, np.int32) for name in ("length", "link", "first_edge")},
            **{name: np.empty(edges, np.int32) for name in ("owner", "target", "next_edge")},
            "symbol": np.empty(edges, SYMBOL),
            "table": np.full(slots, -1, np.int32),
            "prefix": np.empty(size, np.int32),
            "best": np.zeros(states, np.int32),
            **{name: np.zeros(states, np.int64) for name in ("best_end", "best_line", "any_end", "any_line")},
        }
        addresses = {name: array.ctypes.data for name, array in self._arrays.items()}
        self._automaton = _Automaton(mask=slots - 1, minimum=minimum, newline=newline, **addresses)
        symbols = np.ascontiguousarray(text, SYMBOL)
        self._call("build", symbols, size)
        count = self._automaton.states
        self._order = np.argsort(-self._arrays["length"][:count], kind="stable").astype(np.int32)
        for name in ("first_edge", "next_edge"):  # only needed to build
            del self._arrays[name]

    def begin_document(self) -> None:
        self._automaton.state = self._automaton.matched = 0

    def read(self, symbols: np.ndarray) -> None:
        self._call("read", np.ascontiguousarray(symbols, SYMBOL), len(symbols))

    def finish(self) -> Matches:
        size = self._size
        found = Matches(np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64))
        self._call("finish", self._order, size, *found)
        return found

    def _call(self, name: str, *arguments: np.ndarray | int) -> None:
        function = getattr(_library, f"onward_automaton_{name}")
        function(
            ctypes.byref(self._automaton),
            *(
                ctypes.c_void_p(x.ctypes.data) if isinstance(x, np.ndarray) else ctypes.c_int64(x)
                for x in arguments
            ),
        )


class ReferenceAutomaton(Automaton):
    """An automaton in Python. The arguments are those of `automaton_of`."""

    def __init__(self, text: np.ndarray, *, minimum: int, newline: int) -> None:
        self._minimum, self._newline = minimum, newline
        self._lengths, self._links, self._edges = [0], [-1], [dict[int, int]()]
        self._prefixes = list[int]()
        last = 0
        for symbol in text.tolist():
            last = self._append(last, symbol)
            self._prefixes.append(last)
        count = len(self._lengths)
        self._best = [
            (0, 0, 0)
        ] * count  # of each state: its longest match, where it first ended, and the line
        self._any = [(0, 0)] * count  # of each state: where a match first ended, and the line
        self._state = self._matched = self._end = self._line = 0

    def _append(self, last: int, symbol: int) -> int:
        """Adds a symbol to the text, and returns the state of the whole text."""
        state = self._add(self._lengths[last] + 1, 0, {})
        place = last
        while place >= 0 and symbol not in self._edges[place]:
            self._edges[place][symbol] = state
            place = self._links[place]
        if place >= 0:
            target = self._edges[place][symbol]
            is_longest = self._lengths[place] + 1 == self._lengths[target]
            self._links[state] = target if is_longest else self._split(place, symbol, target)
        return state

    def _split(self, place: int, symbol: int, target: int) -> int:
        """Splits the strings that a place leads to off the target, which longer strings reach too."""
        clone = self._add(self._lengths[place] + 1, self._links[target], dict(self._edges[target]))
        while place >= 0 and self._edges[place].get(symbol) == target:
            self._edges[place][symbol] = clone
            place = self._links[place]
        self._links[target] = clone
        return clone

    def _add(self, length: int, link: int, edges: dict[int, int]) -> int:
        self._lengths.append(length)
        self._links.append(link)
        self._edges.append(edges)
        return len(self._lengths) - 1

    def begin_document(self) -> None:
        self._state = self._matched = 0

    def read(self, symbols: np.ndarray) -> None:
        state, matched = self._state, self._matched
        for symbol in symbols.tolist():
            self._end += 1
            self._line += symbol == self._newline
            while state and symbol not in self._edges[state]:
                state = self._links[state]
                matched = self._lengths[state]
            target = self._edges[state].get(symbol)
            if target is None:
                continue
            state, matched = target, matched + 1
            if matched >= self._minimum:
                self._any[state] = self._any[state] if self._any[state][0] else (self._end, self._line)
                if matched > self._best[state][0]:
                    self._best[state] = (matched, self._end, self._line)
        self._state, self._matched = state, matched

    def finish(self) -> Matches:
        order = sorted(range(1, len(self._lengths)), key=lambda state: -self._lengths[state])
        for state in order:
            link, seen = self._links[state], self._any[state]
            if seen[0]:
                candidate = (self._lengths[link], *seen)
                self._best[link] = max(self._best[link], candidate, key=lambda match: (match[0], -match[1]))
                self._any[link] = min(self._any[link] if self._any[link][0] else seen, seen)
        for state in reversed(order):
            if not self._best[state][0]:
                self._best[state] = self._best[self._links[state]]
        rows = np.array([self._best[state] for state in self._prefixes], np.int64).reshape(-1, 3)
        return Matches(*rows.T)


class _Automaton(ctypes.Structure):
    """The struct `Automaton` of automaton.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("states", "edges", "mask")),
        *((name, ctypes.c_void_p) for name in ("length", "link", "first_edge")),
        *((name, ctypes.c_void_p) for name in ("owner", "target", "next_edge", "symbol", "table", "prefix")),
        *((name, ctypes.c_void_p) for name in ("best", "best_end", "best_line", "any_end", "any_line")),
        *((name, ctypes.c_int64) for name in ("state", "matched", "end", "line", "minimum", "newline")),
    )


_library: Any = installed_library("onward.inference.novelty._automaton")
available = _library is not None
"""Whether the compiled automaton is there."""
if available:
    for _name in ("build", "read", "finish"):
        getattr(_library, f"onward_automaton_{_name}").restype = None
