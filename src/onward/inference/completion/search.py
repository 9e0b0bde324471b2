"""Completion: the likeliest continuations up to a boundary, by a search over forked states.

The probability of a prefix bounds that of every continuation of it, so a prefix that is less likely than the
n-th continuation found need not be looked at again. Several prefixes advance at once, as lanes of one step.

    words            best first: always the likeliest prefixes. It ends when none is likelier than the n-th
                     continuation found (then the result is exact), or after `effort` prefixes.
    lines, lengths   a beam: of all prefixes of one length the `lanes` likeliest. The result is exact if
                     none that was left behind was likelier than the last continuation given.

Who asks for few gets the first of those that who asks for ten gets: what is looked at depends on how many are
asked for in one way alone, that it ends sooner.
"""

import re
from collections.abc import Generator, Sequence
from heapq import heappop, heappush, nlargest
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from onward.data.vocabulary import UNKNOWN, Vocabulary, as_text, lower_case
from onward.inference.completion.boundaries import Boundary, Prefix, boundary_of
from onward.inference.completion.options import FLOOR, Completing, Completion, Completions
from onward.inference.completion.search_states import Node, States, Wave, softmax
from onward.inference.step.stepper import Stepper
from onward.layers.state import State

_LAST_WORD = re.compile(r"\w*\Z")

LONGEST = 200
"""Symbols after which a continuation that has not ended is given as far as it goes."""

_FINISHING = 12  # symbols by which what is left is followed when the effort is spent
_SOUGHT = 10  # words that are looked for, however few are asked for
_LANES, _BEAM = 8, 32  # of eight, ten and twenty the likeliest line was missed thrice as often as of 32


class Begun(NamedTuple):
    """Where continuations begin.

    Attributes:
        state: of one lane.
        logits: of the first symbol, (V,).
        completing: what to look for.
        prefix: what of the continuation is already there.
        word: the beginning of the first symbol, which is a word; the text begins after it.
    """

    state: State
    logits: np.ndarray
    completing: Completing
    prefix: Prefix = Prefix()
    word: str = ""


@torch.inference_mode()
def complete(stepper: Stepper, vocabulary: Vocabulary, places: Sequence[Begun]) -> list[Completions]:
    """The likeliest continuations in each of some places, which are looked for side by side.

    Each search is the one that it would be by itself; the prefixes of all advance as lanes of one step.

    Args:
        stepper: of the model; is told the states.
        vocabulary: what ids mean.
        places: any number.
    """
    if not places:
        return []
    searches = [_Search(boundary_of(vocabulary, place.completing.until), place) for place in places]
    states = States(stepper, [place.state for place in places], [search.capacity for search in searches])
    found: list[Completions | None] = [None] * len(places)
    waves: list[tuple[int, _Walk, Wave]] = []
    answers: list[tuple[int, _Walk, Any]] = [
        (i, search.run(base), None)
        for i, (search, base) in enumerate(zip(searches, states.bases, strict=True))
    ]
    while answers:
        for i, walk, rows in answers:
            try:
                waves.append((i, walk, walk.send(rows)))
            except StopIteration as stop:
                found[i] = stop.value
        rows = iter(states.step([wave for _, _, wave in waves]))
        answers, waves = [(i, walk, next(rows)) for i, walk, _ in waves], []
    return [each for each in found if each is not None]


def begun_word(text: str | bytes, vocabulary: Vocabulary) -> tuple[str | bytes, str]:
    """A text without the word at its end, and that word, if words are symbols; else the text, and nothing."""
    if vocabulary.kind != "words":
        return text, ""
    text = as_text(text)
    start = next(_LAST_WORD.finditer(text)).start()
    word = lower_case(text[start:]) if vocabulary.lower else text[start:]
    return (text[:start], word) if len(vocabulary.encode(word)) == 1 else (text, "")


_Walk: TypeAlias = Generator[Wave, np.ndarray, Completions]
"""A search: gives waves, is sent the probabilities (B, V) of each prefix with each symbol after it."""


class _Search:
    """One search.

    Args:
        boundary: where continuations end.
        place: where they begin.

    Attributes:
        capacity: states that it keeps, besides that of the beginning.
    """

    def __init__(self, boundary: Boundary, place: Begun) -> None:
        completing = place.completing
        self._boundary, self._place = boundary, place
        self._n, self._effort = completing.n, completing.effort
        self._shortest = completing.shortest
        self._is_beam = completing.until != "word"
        self._floor = completing.floor if completing.floor is not None else 0.0 if self._is_beam else FLOOR
        self._sought = self._n if self._is_beam else max(self._n, min(_SOUGHT, self._effort))
        self._lanes = completing.lanes or (max(_BEAM, 2 * self._n) if self._is_beam else _LANES)
        self.capacity = max(self._lanes, self._sought) + (0 if self._is_beam else self._effort)
        self._found: dict[str, float] = {}
        self._bar = self._floor  # a prefix that is no likelier than this is not kept
        self._last = self._floor  # of what is given; nor does one matter that is no likelier than this
        self._frontier: list[Node] = []
        self._numbers = count()
        self._left = 0.0  # the likeliest prefix that was left behind
        self._steps = 0
        self._base = self._next = 0
        self._room = self._effort + self._sought  # prefixes that may still be looked at

    def run(self, base: int) -> _Walk:
        """Looks until nothing is left that could matter, or the effort is spent.

        Args:
            base: the row of the state where it begins; its other states come after it.
        """
        self._base, self._next = base, base + 1
        probabilities = softmax(self._place.logits[None])[0]
        if self._place.word:
            self._begin_within(self._place.word, probabilities)
        else:
            self._push(self._look(self._place.prefix, probabilities, base))
        if self._is_beam:
            while nodes := self._level():
                for children in (yield from self._advance(nodes, keep=False)):
                    self._push(children)
        else:
            while self._steps < self._effort and (nodes := self._likeliest(self._lanes)):
                for children in (yield from self._advance(nodes, keep=True)):
                    self._push(children)
            yield from self._finish()
        best = sorted(self._found.items(), key=lambda item: -item[1])[: self._n]
        likely = tuple(
            Completion(text, probability) for text, probability in best if probability >= self._floor
        )
        return Completions(likely, self._left <= self._last, self._steps)

    def _begin_within(self, word: str, probabilities: np.ndarray) -> None:
        """Begins with the symbols that begin with a word, given the probabilities (V,) of the next symbol."""
        symbols = self._boundary.beginning_with(word)
        total = float(probabilities[symbols].sum())
        if not total:
            self._push([self._node(Prefix(), UNKNOWN, 1.0, self._base)])
            return
        for symbol in symbols:
            probability = float(probabilities[symbol]) / total
            longer, ended = self._boundary.extended(Prefix(), symbol)
            rest = longer._replace(text=longer.text[len(word) :])
            if not rest.text:
                self._push([self._node(Prefix(), symbol, probability, self._base)])
            elif ended:
                self._find(rest.text, probability)
            else:
                self._push([self._node(rest, symbol, probability, self._base)])

    def _finish(self) -> Generator[Wave, np.ndarray, None]:
        """Follows the likeliest prefixes that are left, each by its likeliest symbol, to where they end."""
        nodes = self._likeliest(self._sought)
        for _ in range(_FINISHING):
            if not nodes:
                break
            ways = yield from self._advance(nodes, keep=False)
            nodes = []
            for children in ways:
                if children:
                    children.sort()
                    nodes.append(children[0])
                    self._push(children[1:])
        self._push(nodes)
        if self._frontier:
            self._left = max(self._left, -self._frontier[0].less)

    def _advance(self, nodes: list[Node], *, keep: bool) -> Generator[Wave, np.ndarray, list[list[Node]]]:
        """Looks at prefixes; what may follow each of them. Other states are lost unless kept."""
        first = self._next if keep else self._base
        rows = yield Wave(nodes, first)
        self._steps += len(nodes)
        self._room = max(1, self._effort - self._steps) + self._sought if keep else 1
        self._next = first + len(nodes)
        return [
            self._look(node.prefix, row, slot)
            for slot, (node, row) in enumerate(zip(nodes, rows, strict=True), first)
        ]

    def _likeliest(self, lanes: int) -> list[Node]:
        """The likeliest prefixes, at most so many, taken from the heap; none where not one matters."""
        nodes: list[Node] = []
        if not self._frontier or -self._frontier[0].less <= self._last:
            return nodes
        while self._frontier and len(nodes) < lanes and -self._frontier[0].less > self._bar:
            nodes.append(heappop(self._frontier))
        return nodes

    def _level(self) -> list[Node]:
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

    def _look(self, prefix: Prefix, probabilities: np.ndarray, slot: int) -> list[Node]:
        """What may follow a prefix, given the probabilities (V,) of it with each symbol; notes if it ends."""
        ending = float(probabilities[self._boundary.endings(prefix)].sum())
        if ending:
            self._find(prefix.text, ending)
        longer = []
        for symbol in self._likely(probabilities, self._boundary.extensions(prefix)):
            probability = float(probabilities[symbol])
            extended, ended = self._boundary.extended(prefix, symbol)
            if ended:
                self._find(extended.text, probability)
            else:
                longer.append(self._node(extended, symbol, probability, slot))
        return longer

    def _likely(self, probabilities: np.ndarray, allowed: np.ndarray) -> list[int]:
        """The symbols that matter; best first no more than may still be looked at."""
        symbols = ((probabilities > self._bar) & allowed).nonzero()[0]
        if not self._is_beam and len(symbols) > self._room:
            order = np.argsort(-probabilities[symbols], kind="stable")
            self._left = max(self._left, float(probabilities[symbols[order[self._room]]]))
            symbols = symbols[order[: self._room]]
        return symbols.tolist()

    def _node(self, prefix: Prefix, symbol: int, probability: float, slot: int) -> Node:
        return Node(-probability, next(self._numbers), slot, symbol, prefix)

    def _push(self, nodes: list[Node]) -> None:
        """Keeps prefixes to be looked at."""
        for node in nodes:
            heappush(self._frontier, node)

    def _find(self, text: str, probability: float) -> None:
        """Counts a way to a continuation; equal texts are one, and short ones are none."""
        if len(text) < self._shortest:
            return
        found = self._found
        found[text] = found.get(text, 0.0) + probability
        if len(found) < self._n or found[text] <= self._bar:
            return
        best = nlargest(self._sought, found.values())
        self._last = max(self._floor, best[self._n - 1])
        if len(best) == self._sought:
            self._bar = max(self._floor, best[-1])
