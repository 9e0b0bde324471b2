"""Completion: the likeliest continuations up to a boundary, by a search over forked states.

The probability of a prefix bounds that of every continuation of it, so a prefix that is less likely than the
n-th continuation found need not be looked at again. Several prefixes advance at once, as lanes of one step.

    words            best first: always the likeliest prefixes. It ends when none is likelier than the n-th
                     continuation found (then the result is exact), or after `effort` prefixes.
    lines, lengths   a beam: of all prefixes of one length the `lanes` likeliest. The result is exact if
                     none that was left behind was likelier than the last continuation given.
"""

import re
from heapq import heappop, heappush, nlargest
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from onward.data.vocabulary import UNKNOWN, Vocabulary, as_text, lower_case
from onward.inference.boundary import Boundary, Prefix, boundary_of
from onward.inference.completion import FLOOR, Completing, Completion, Completions
from onward.inference.stepper import Stepper
from onward.layers.state import State, tensors_of, with_tensors

_LAST_WORD = re.compile(r"\w*\Z")

LONGEST = 200
"""Symbols after which a continuation that has not ended is given as far as it goes."""

_FINISHING = 12  # symbols by which what is left is followed when the effort is spent


class _Node(NamedTuple):
    """A prefix that may be looked at, likelier ones first in order.

    Attributes:
        less: minus its probability.
        number: tells those of one probability apart.
        slot: where the state before its last symbol is kept.
        symbol: its last.
        prefix: what it is.
    """

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
    start = next(_LAST_WORD.finditer(text)).start()
    word = lower_case(text[start:]) if vocabulary.lower else text[start:]
    return (text[:start], word) if len(vocabulary.encode(word)) == 1 else (text, "")


class _Search:
    """One search; `complete` explains the arguments."""

    def __init__(self, boundary: Boundary, completing: Completing, stepper: Stepper, state: State) -> None:
        self._boundary, self._n, self._effort = boundary, completing.n, completing.effort
        self._shortest = completing.shortest
        self._is_beam = completing.until != "word"
        self._floor = completing.floor if completing.floor is not None else 0.0 if self._is_beam else FLOOR
        self._lanes = completing.lanes or (max(8, 2 * completing.n) if self._is_beam else 8)
        self._states = _States(
            stepper, state, max(self._lanes, self._n) + (0 if self._is_beam else self._effort)
        )
        self._found: dict[str, float] = {}
        self._bar = self._floor  # a prefix that is no likelier than this does not matter
        self._frontier: list[_Node] = []
        self._numbers = count()
        self._left = 0.0  # the likeliest prefix that was left behind
        self._steps = 0

    def begin(self, prefix: Prefix, probabilities: np.ndarray) -> None:
        """Begins with what may follow the prefix, given the probabilities (V,) of the next symbol."""
        self._push(self._look(prefix, probabilities, 0))

    def begin_within(self, word: str, probabilities: np.ndarray) -> None:
        """Begins with the symbols that begin with a word, given the probabilities (V,) of the next symbol."""
        symbols = self._boundary.beginning_with(word)
        total = float(probabilities[symbols].sum())
        if not total:
            self._push([self._node(Prefix(), UNKNOWN, 1.0, 0)])
            return
        for symbol in symbols:
            probability = float(probabilities[symbol]) / total
            longer, ended = self._boundary.extended(Prefix(), symbol)
            rest = longer._replace(text=longer.text[len(word) :])
            if not rest.text:
                self._push([self._node(Prefix(), symbol, probability, 0)])
            elif ended:
                self._find(rest.text, probability)
            else:
                self._push([self._node(rest, symbol, probability, 0)])

    @torch.inference_mode()
    def run(self) -> Completions:
        """Looks until nothing is left that could matter, or the effort is spent."""
        if self._is_beam:
            while nodes := self._level():
                for children in self._advance(nodes, keep=False):
                    self._push(children)
        else:
            while self._steps < self._effort and (nodes := self._likeliest(self._lanes)):
                for children in self._advance(nodes, keep=True):
                    self._push(children)
            self._finish()
        best = sorted(self._found.items(), key=lambda item: -item[1])[: self._n]
        likely = tuple(
            Completion(text, probability) for text, probability in best if probability >= self._floor
        )
        return Completions(likely, self._left <= self._bar, self._steps)

    def _finish(self) -> None:
        """Follows the likeliest prefixes that are left, each by its likeliest symbol, to where they end."""
        nodes = self._likeliest(self._n)
        for _ in range(_FINISHING):
            if not nodes:
                break
            ways, nodes = self._advance(nodes, keep=False), []
            for children in ways:
                if children:
                    children.sort()
                    nodes.append(children[0])
                    self._push(children[1:])
        self._push(nodes)
        if self._frontier:
            self._left = -self._frontier[0].less

    def _advance(self, nodes: list[_Node], *, keep: bool) -> list[list[_Node]]:
        """Looks at prefixes as lanes of one step; what may follow each of them."""
        slots, logits = self._states.step(nodes, keep=keep)
        self._steps += len(nodes)
        rows = _softmax(logits) * np.array([[-node.less] for node in nodes])
        return [
            self._look(node.prefix, row, slot) for node, row, slot in zip(nodes, rows, slots, strict=True)
        ]

    def _likeliest(self, lanes: int) -> list[_Node]:
        """The likeliest prefixes that matter, at most so many, taken from the heap."""
        nodes = []
        while self._frontier and len(nodes) < lanes and -self._frontier[0].less > self._bar:
            nodes.append(heappop(self._frontier))
        return nodes

    def _level(self) -> list[_Node]:
        """The likeliest of all prefixes that matter, which are of one length; the others are left behind."""
        nodes = sorted(node for node in self._frontier if -node.less > self._bar)
        self._frontier = []
        left = nodes[self._lanes :]
        if nodes and nodes[0].prefix.size >= LONGEST:
            left = nodes
            for node in nodes[: self._lanes]:
                self._find(node.prefix.text, -node.less)
        if left:
            self._left = max(self._left, -left[0].less)
        return [] if left is nodes else nodes[: self._lanes]

    def _look(self, prefix: Prefix, probabilities: np.ndarray, slot: int) -> list[_Node]:
        """What may follow a prefix, given the probabilities (V,) of it with each symbol; notes if it ends."""
        ending = float(probabilities[self._boundary.endings(prefix)].sum())
        if ending:
            self._find(prefix.text, ending)
        longer = []
        for symbol in np.flatnonzero(
            (probabilities > self._bar) & self._boundary.extensions(prefix)
        ).tolist():
            probability = float(probabilities[symbol])
            extended, ended = self._boundary.extended(prefix, symbol)
            if ended:
                self._find(extended.text, probability)
            else:
                longer.append(self._node(extended, symbol, probability, slot))
        return longer

    def _node(self, prefix: Prefix, symbol: int, probability: float, slot: int) -> _Node:
        return _Node(-probability, next(self._numbers), slot, symbol, prefix)

    def _push(self, nodes: list[_Node]) -> None:
        """Keeps prefixes to be looked at."""
        for node in nodes:
            heappush(self._frontier, node)

    def _find(self, text: str, probability: float) -> None:
        """Counts a way to a continuation; equal texts are one, and short ones are none."""
        if len(text) < self._shortest:
            return
        found = self._found
        found[text] = found.get(text, 0.0) + probability
        if len(found) >= self._n and found[text] > self._bar:
            self._bar = max(self._floor, nlargest(self._n, found.values())[-1])


class _States:
    """The states of the prefixes that were looked at, as lanes of one, after that of the beginning."""

    def __init__(self, stepper: Stepper, state: State, capacity: int) -> None:
        self._stepper = stepper
        self._form, self._next = state, 1
        self._parts = [part.new_empty(1 + capacity, *part.shape[1:]) for part in tensors_of(state)]
        for part, first in zip(self._parts, tensors_of(state), strict=True):
            part[0] = first[0]

    def step(self, nodes: list[_Node], *, keep: bool) -> tuple[range, np.ndarray]:
        """Where the states after the nodes are, and the logits (B, V). Other states are lost unless kept."""
        lanes = torch.tensor([node.slot for node in nodes])
        self._stepper.state = with_tensors(self._form, (part.index_select(0, lanes) for part in self._parts))
        logits = self._stepper.step(np.array([node.symbol for node in nodes]))
        first = self._next if keep else 0
        self._next = first + len(nodes)
        for part, new in zip(self._parts, tensors_of(self._stepper.state), strict=True):
            part[first : self._next] = new
        return range(first, self._next), logits


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (B, V)."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
