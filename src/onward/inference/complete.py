"""Completion: the likeliest continuations up to a boundary, by a search over forked states.

The probability of a prefix bounds that of every continuation of it, so a prefix that is less likely than the
n-th continuation found need not be looked at again. Several prefixes advance at once, as lanes of one step.

    words            best first: always the likeliest prefixes. It ends when none is likelier than the n-th
                     continuation found (then the result is exact), or after `effort` prefixes.
    lines, lengths   a beam: of all prefixes of one length the `lanes` likeliest. The result is exact if
                     none that was left behind was likelier than the last continuation given.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, TypedDict, overload

import numpy as np
import torch
from torch import Tensor

from onward.data.vocabulary import UNKNOWN, Vocabulary, as_text, lower_case
from onward.errors import InputError
from onward.inference.boundary import Boundary, Prefix, Until, boundary_of
from onward.inference.stepper import Stepper
from onward.layers.state import State, map_state, select_lanes, tensors_of

_LAST_WORD = re.compile(r"\w*\Z")

LONGEST = 200
"""Symbols after which a continuation that has not ended is given as far as it goes."""


@dataclass(frozen=True)
class Completion:
    """A continuation.

    Attributes:
        text: what follows, without what ended it.
        probability: that exactly this follows, up to the boundary.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Completions(Sequence[Completion]):
    """Continuations, the likeliest first, no text twice.

    Attributes:
        best: the continuations.
        exact: whether it is certain that no other continuation is likelier than the last of these (and than
            the floor, if they are fewer than was asked for).
        steps: prefixes that were looked at.
    """

    best: tuple[Completion, ...]
    exact: bool
    steps: int

    def __len__(self) -> int:
        return len(self.best)

    def __iter__(self) -> Iterator[Completion]:
        return iter(self.best)

    @overload
    def __getitem__(self, index: int) -> Completion: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Completion, ...]: ...
    def __getitem__(self, index: int | slice) -> Completion | tuple[Completion, ...]:
        """One, or several as a tuple."""
        return self.best[index]


@dataclass(frozen=True, kw_only=True)
class Completing:
    """What to look for, and for how long.

    Attributes:
        n: how many continuations, at most.
        until: where they end.
        floor: continuations less likely than this are not looked for.
        effort: prefixes to look at, at most, where the search is best first.
        lanes: prefixes that advance at once; the width of a beam.

    Raises:
        InputError: a number that is none of these.
    """

    n: int = 5
    until: Until = "word"
    floor: float = 1e-3
    effort: int = 64
    lanes: int | None = None

    def __post_init__(self) -> None:
        for name in ("n", "effort", "lanes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"expected {name} of 1 or more, got {value}")
        if not 0 <= self.floor < 1:
            raise InputError(f"expected a floor from 0 to below 1, got {self.floor}")


class CompleteOptions(TypedDict, total=False):
    """What can be said of completing; see `Completing`."""

    n: int
    until: Until
    floor: float
    effort: int
    lanes: int | None


class _Node(NamedTuple):
    """A prefix that may be looked at: less its probability, a number to tell equals apart, where the state
    before its last symbol is kept, that symbol, and the prefix."""

    less: float
    number: int
    slot: int
    symbol: int
    prefix: Prefix


def complete(
    stepper: Stepper,
    vocabulary: Vocabulary,
    state: State,
    logits: Tensor,
    completing: Completing,
    begin: Prefix,
    word: str = "",
) -> Completions:
    """The likeliest continuations.

    Args:
        stepper: of the model; is told the state.
        vocabulary: what ids mean.
        state: of one lane, where the continuations begin.
        logits: of the first symbol, (V,).
        completing: what to look for.
        begin: what of the continuation is already there.
        word: the beginning of the first symbol, which is a word; the text begins after it.
    """
    search = _Search(boundary_of(vocabulary, completing.until), completing, stepper, state)
    probabilities = _softmax(logits.cpu().numpy()[None])[0]
    if word:
        search.begin_within(word, probabilities)
    else:
        search.begin(begin, probabilities)
    return search.run()


def begun_word(text: str | bytes, vocabulary: Vocabulary) -> tuple[str | bytes, str]:
    """A text without the word at its end, and that word, if words are symbols; else the text, and nothing."""
    if vocabulary.kind != "words":
        return text, ""
    text = as_text(text)
    start = len(text) - len(_LAST_WORD.search(text)[0])
    word = lower_case(text[start:]) if vocabulary.lower else text[start:]
    return (text[:start], word) if len(vocabulary.encode(word)) == 1 else (text, "")


class _Search:
    """One search; `complete` explains the arguments."""

    def __init__(self, boundary: Boundary, completing: Completing, stepper: Stepper, state: State) -> None:
        self._boundary, self._completing = boundary, completing
        self._is_beam = completing.until != "word"
        self._lanes = completing.lanes or (max(8, 2 * completing.n) if self._is_beam else 4)
        capacity = self._lanes if self._is_beam else completing.effort + self._lanes
        self._states = _States(stepper, state, capacity + 1)
        self._found: dict[str, float] = {}
        self._frontier: list[_Node] = []
        self._numbers = count()
        self._left = 0.0  # the likeliest prefix that was left behind
        self._steps = 0

    def begin(self, prefix: Prefix, probabilities: np.ndarray) -> None:
        """Begins with what may follow the prefix, given the probabilities (V,) of the next symbol."""
        self._look(prefix, probabilities, 0)

    def begin_within(self, word: str, probabilities: np.ndarray) -> None:
        """Begins with the symbols that begin with a word, given the probabilities (V,) of the next symbol."""
        symbols = self._boundary.beginning_with(word)
        total = float(probabilities[symbols].sum())
        if not total:
            self._push(Prefix(), UNKNOWN, 1.0, 0)
        for symbol in symbols if total else ():
            probability = float(probabilities[symbol]) / total
            longer, ended = self._boundary.extended(Prefix(), symbol)
            rest = longer._replace(text=longer.text[len(word) :])
            if not rest.text:
                self._push(Prefix(), symbol, probability, 0)
            elif ended:
                self._find(rest.text, probability)
            else:
                self._push(rest, symbol, probability, 0)

    @torch.inference_mode()
    def run(self) -> Completions:
        """Looks until nothing is left that could matter, or the effort is spent."""
        while self._frontier and (self._is_beam or self._steps < self._completing.effort):
            bar = self._bar()
            nodes = self._level(bar) if self._is_beam else self._likeliest(bar)
            if not nodes:
                break
            slots = self._states.free(len(nodes))
            logits = self._states.step(nodes, slots)
            self._steps += len(nodes)
            for node, slot, row in zip(nodes, slots, _softmax(logits), strict=True):
                self._look(node.prefix, -node.less * row, slot)
        if self._frontier:
            self._left = max(self._left, max(-node.less for node in self._frontier))
        n, floor = self._completing.n, self._completing.floor
        best = sorted(self._found.items(), key=lambda item: -item[1])[:n]
        return Completions(
            tuple(Completion(text, p) for text, p in best), self._left <= max(self._bar(), floor), self._steps
        )

    def _bar(self) -> float:
        """How likely a prefix must be to matter: more than the n-th continuation, and than the floor."""
        n, floor = self._completing.n, self._completing.floor
        if len(self._found) < n:
            return floor
        return max(floor, sorted(self._found.values())[-n])

    def _likeliest(self, bar: float) -> list[_Node]:
        """The likeliest prefixes, taken from the heap."""
        nodes = []
        while self._frontier and len(nodes) < self._lanes and -self._frontier[0].less > bar:
            nodes.append(heappop(self._frontier))
        return nodes

    def _level(self, bar: float) -> list[_Node]:
        """The likeliest of all prefixes, which are of one length; the others are left behind."""
        nodes = sorted(node for node in self._frontier if -node.less > bar)
        self._frontier = []
        if len(nodes) > self._lanes:
            self._left = max(self._left, -nodes[self._lanes].less)
        kept = nodes[: self._lanes]
        if kept and kept[0].prefix.size >= LONGEST:
            for node in kept:
                self._find(node.prefix.text, -node.less)
            self._left = max(self._left, -kept[0].less)
            return []
        return kept

    def _look(self, prefix: Prefix, probabilities: np.ndarray, slot: int) -> None:
        """Adds what may follow a prefix, given the probabilities of it with each symbol, (V,)."""
        ending = float(probabilities[self._boundary.endings(prefix)].sum())
        if ending:
            self._find(prefix.text, ending)
        bar = self._bar()
        likely = (probabilities > bar) & self._boundary.extensions(prefix)
        for symbol in np.flatnonzero(likely).tolist():
            longer, ended = self._boundary.extended(prefix, symbol)
            if ended:
                self._find(longer.text, float(probabilities[symbol]))
            else:
                self._push(longer, symbol, float(probabilities[symbol]), slot)

    def _push(self, prefix: Prefix, symbol: int, probability: float, slot: int) -> None:
        """Keeps a prefix to be looked at."""
        heappush(self._frontier, _Node(-probability, next(self._numbers), slot, symbol, prefix))

    def _find(self, text: str, probability: float) -> None:
        """Counts a way to a continuation; equal texts are one."""
        self._found[text] = self._found.get(text, 0.0) + probability


class _States:
    """The states of the prefixes that were looked at, as lanes of one."""

    def __init__(self, stepper: Stepper, state: State, capacity: int) -> None:
        self._stepper, self._capacity, self._next = stepper, capacity, 1
        self._state = map_state(lambda part: part.new_empty(capacity, *part.shape[1:]), state)
        for part, first in zip(tensors_of(self._state), tensors_of(state), strict=True):
            part[:1] = first

    def free(self, lanes: int) -> list[int]:
        """Places for so many more states; when all are taken, those of the level before the last one."""
        if self._next + lanes > self._capacity:
            self._next = 1
        slots = list(range(self._next, self._next + lanes))
        self._next += lanes
        return slots

    def step(self, nodes: list[_Node], slots: list[int]) -> np.ndarray:
        """Logits (B, V) after the nodes, whose states go to the slots."""
        self._stepper.state = select_lanes(self._state, torch.tensor([node.slot for node in nodes]))
        logits = self._stepper.step(np.array([node.symbol for node in nodes]))
        for part, new in zip(tensors_of(self._state), tensors_of(self._stepper.state), strict=True):
            part[slots[0] : slots[-1] + 1] = new
        return logits


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (B, V) in float64."""
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    return weights / weights.sum(axis=1, keepdims=True)
