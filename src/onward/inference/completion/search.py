"""The search for the likeliest continuations up to a boundary.

No continuation is likelier than a prefix of it. So a search need not expand a prefix that is less likely
than the n-th continuation found so far. The prefixes of all searches are expanded together, as lanes of one
step of the model.

    words            best-first search: expands the likeliest prefixes of any length. It ends when no prefix
                     is likelier than the n-th continuation found (the result is then exact), or when
                     `effort` prefixes were expanded.
    lines, lengths   beam search: of all prefixes of one length, expands the `lanes` likeliest. The result is
                     exact if no discarded prefix was likelier than the last continuation in the result.

`n` only decides when the search ends, so `n=3` finds the first three continuations of `n=10`.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from heapq import heappop, heappush, nlargest
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from onward.data.vocabulary import UNKNOWN, Vocabulary, as_text, lower_case
from onward.data.words import last_word_length
from onward.inference.completion.boundaries import CERTAIN, Boundary, Prefix, boundary_of
from onward.inference.completion.options import FLOOR, CompleteOptions, Completion, Completions
from onward.inference.completion.search_states import Expansion, Node, StateTable, softmax
from onward.inference.step.stepper import Stepper
from onward.layers.state import State
from onward.memory.memory import Memory

LONGEST = 200
"""Number of symbols after which a beam search returns continuations that have not ended."""

LONGEST_CHARACTER = 4  # bytes of UTF-8
_FINISHING = 12  # maximum number of symbols that a best-first search adds to its best prefixes at the end
_SOUGHT = 10  # minimum number of words to look for, so that the result does not depend on n
_LANES, _BEAM = 8, 32  # a beam of 8, 10 or 20 misses the likeliest line three times as often as one of 32

_RunningSearch: TypeAlias = Generator[Expansion, np.ndarray, Completions]
"""A running search: yields nodes to expand, and receives the probabilities (B, V) of their children."""


class SearchStart(NamedTuple):
    """The start of a search.

    Attributes:
        state: state of the model, for one lane.
        logits: logits of the first symbol, (V,).
        options: options of the completion.
        prefix: beginning of the continuation that is already part of the text, such as an incomplete
            character.
        word: if symbols are words, the beginning of the first symbol; the continuation is the rest of it.
        memory: the memory after the text; the search does not change it.
    """

    state: State
    logits: np.ndarray
    options: CompleteOptions
    prefix: Prefix = Prefix()
    word: str = ""
    memory: Memory | None = None


@torch.inference_mode()
def complete(stepper: Stepper, vocabulary: Vocabulary, starts: Sequence[SearchStart]) -> list[Completions]:
    """Returns the likeliest continuations of each start.

    The searches share the steps of the model. Each gives the same result as it would alone.

    Args:
        stepper: stepper of the model; its state changes.
        vocabulary: vocabulary of the model.
        starts: any number of starts.
    """
    if not starts:
        return []
    searches = [_search(boundary_of(vocabulary, start.options.until), start) for start in starts]
    table = StateTable(
        stepper,
        [start.state for start in starts],
        [search.capacity for search in searches],
        [start.memory for start in starts],
    )
    runs = [search.run(base) for search, base in zip(searches, table.bases, strict=True)]
    found: list[Completions | None] = [None] * len(starts)
    replies: list[tuple[int, Any]] = [(i, None) for i in range(len(starts))]
    while replies:
        expansions: dict[int, Expansion] = {}
        for i, probabilities in replies:
            try:
                expansions[i] = runs[i].send(probabilities)
            except StopIteration as stop:
                found[i] = stop.value
        children = table.step(expansions) if expansions else []
        replies = [*zip(expansions, children, strict=True)]
    return [each for each in found if each is not None]


def split_partial_word(text: str | bytes, vocabulary: Vocabulary) -> tuple[str | bytes, str]:
    """Splits a text before its last word, if symbols are words; otherwise the second part is empty."""
    if vocabulary.kind != "words":
        return text, ""
    text = as_text(text)
    start = len(text) - last_word_length(text, marks=vocabulary.marks)
    word = lower_case(text[start:]) if vocabulary.lower else text[start:]
    return (text[:start], word) if len(vocabulary.encode(word)) == 1 else (text, "")


class _FoundContinuations:
    """The continuations found so far.

    Args:
        options: options of the completion.
        floor: minimum probability of a continuation.
        sought: number of continuations to look for, at least `options.n`.

    Attributes:
        last: probability of the n-th likeliest continuation. A search may end when no prefix is likelier.
        bar: probability of the `sought`-th likeliest continuation. Less likely prefixes are dropped.
    """

    def __init__(self, options: CompleteOptions, floor: float, sought: int) -> None:
        self._n, self._shortest = options.n, options.shortest
        self._floor, self._sought = floor, sought
        self._probabilities: dict[str, float] = {}
        self.last = self.bar = floor

    def add(self, text: str, probability: float) -> None:
        """Adds a continuation. If its text was found before, from other symbols, the probabilities add up."""
        if len(text) < self._shortest:
            return
        found = self._probabilities
        found[text] = found.get(text, 0.0) + probability
        if len(found) < self._n or found[text] <= self.bar:
            return
        best = nlargest(self._sought, found.values())
        self.last = max(self._floor, best[self._n - 1])
        if len(best) == self._sought:
            self.bar = max(self._floor, best[-1])

    def best(self) -> tuple[Completion, ...]:
        """Returns the n likeliest continuations above the floor."""
        best = sorted(self._probabilities.items(), key=lambda item: -item[1])[: self._n]
        return tuple(Completion(text, p) for text, p in best if p >= self._floor)


class _Search(ABC):
    """A search for the continuations of one start.

    Args:
        boundary: where continuations end.
        start: where they begin.
        found: collects the continuations.

    Attributes:
        capacity: number of states to keep, not counting the state of the start.
        spare: offset of the rows for states that `_doubted` needs for a moment.
    """

    capacity: int
    spare: int

    def __init__(self, boundary: Boundary, start: SearchStart, found: _FoundContinuations) -> None:
        self._boundary, self._start, self._found = boundary, start, found
        self._frontier: list[Node] = []  # nodes to expand
        self._numbers = count()
        self._discarded = 0.0  # probability of the likeliest prefix that was discarded
        self._steps = 0
        self._base = 0

    def run(self, base: int) -> _RunningSearch:
        """Runs the search. Its states are in the rows of the state table from `base` on."""
        self._base = base
        probabilities, memory = softmax(self._start.logits[None]), self._start.memory
        if memory:
            probabilities = memory.refine(memory.place()[None], probabilities)
        probabilities = probabilities[0]
        if self._start.word:
            self._frontier = self._completed_words(self._start.word, probabilities)
        else:
            self._frontier = self._children(self._start.prefix, probabilities, base)
        yield from self._expand()
        return Completions(self._found.best(), self._discarded <= self._found.last, self._steps)

    @abstractmethod
    def _expand(self) -> Generator[Expansion, np.ndarray, None]:
        """Expands the frontier until the search ends."""

    @abstractmethod
    def _most_children(self) -> int | None:
        """Returns the maximum number of children of a node, or None if there is no maximum."""

    def _step(self, nodes: list[Node], first_row: int) -> Generator[Expansion, np.ndarray, list[list[Node]]]:
        """Expands nodes, and returns their children. The new states are in the rows from `first_row` on."""
        rows = yield Expansion(nodes, first_row)
        self._steps += len(nodes)
        doubted = yield from self._doubted(nodes, rows, first_row)
        children: list[list[Node]] = []
        for i, node in enumerate(nodes):
            if i in doubted:
                self._found.add(node.prefix.text, -node.cost)
                children.append([])
            else:
                children.append(self._children(node.prefix, rows[i], first_row + i))
        return children

    def _doubted(
        self, nodes: list[Node], rows: np.ndarray, first_row: int
    ) -> Generator[Expansion, np.ndarray, set[int]]:
        """Returns the indices of the nodes that end because no next character is certain.

        A character that is certain has bytes that are certain, so only the likeliest bytes are looked at.

        Args:
            nodes: the nodes (B).
            rows: probability of their prefixes with each symbol after them, (B, V).
            first_row: row of the first of their states.
        """
        doubted: set[int] = set()
        open_nodes = [(i, node) for i, node in enumerate(nodes) if self._boundary.ends_in_doubt(node.prefix)]
        following = [(i, node, rows[i], first_row + i) for i, node in open_nodes]
        while following:
            begun: list[tuple[int, Node]] = []
            for i, node, probabilities, row in following:
                symbol = int(probabilities.argmax())
                probability = float(probabilities[symbol])
                if probability < CERTAIN * -nodes[i].cost:
                    doubted.add(i)
                elif (child := self._begun_character(node, symbol, probability, row)) is not None:
                    begun.append((i, child))
            if not begun:
                break
            spare = self._base + self.spare
            ahead = yield Expansion([node for _, node in begun], spare)
            following = [(i, node, ahead[place], spare + place) for place, (i, node) in enumerate(begun)]
        return doubted

    def _begun_character(self, node: Node, symbol: int, probability: float, row: int) -> Node | None:
        """Returns a node with one more byte, if it then ends within a character."""
        if not self._boundary.extensions(node.prefix)[symbol]:
            return None
        longer, _ = self._boundary.extended(node.prefix, symbol)
        is_begun = 0 < len(longer.pending) < LONGEST_CHARACTER
        return self._node(longer, symbol, probability, row) if is_begun else None

    def _children(self, prefix: Prefix, probabilities: np.ndarray, row: int) -> list[Node]:
        """Collects the continuations that end after a prefix, and returns its other likely children.

        Args:
            prefix: the prefix.
            probabilities: probability of the prefix with each symbol after it, (V,).
            row: row of the state after the prefix.
        """
        ending = float(probabilities[self._boundary.endings(prefix)].sum())
        if ending:
            self._found.add(prefix.text, ending)
        children = []
        for symbol in self._likely(probabilities, self._boundary.extensions(prefix)):
            probability = float(probabilities[symbol])
            longer, ended = self._boundary.extended(prefix, symbol)
            if ended:
                self._found.add(longer.text, probability)
            else:
                children.append(self._node(longer, symbol, probability, row))
        return children

    def _likely(self, probabilities: np.ndarray, allowed: np.ndarray) -> list[int]:
        symbols = ((probabilities > self._found.bar) & allowed).nonzero()[0]
        most = self._most_children()
        if most is not None and len(symbols) > most:
            order = np.argsort(-probabilities[symbols], kind="stable")
            self._discard(float(probabilities[symbols[order[most]]]))
            symbols = symbols[order[:most]]
        return symbols.tolist()

    def _completed_words(self, word: str, probabilities: np.ndarray) -> list[Node]:
        """Returns a node for each symbol whose text begins with `word`.

        Args:
            word: the beginning of the symbols.
            probabilities: probability of each symbol, (V,).
        """
        symbols = self._boundary.beginning_with(word)
        total = float(probabilities[symbols].sum())
        if not total:
            return [self._node(Prefix(), UNKNOWN, 1.0, self._base)]
        nodes = []
        for symbol in symbols:
            probability = float(probabilities[symbol]) / total
            longer, ended = self._boundary.extended(Prefix(), symbol)
            rest = longer._replace(text=longer.text[len(word) :])
            if not rest.text:
                nodes.append(self._node(Prefix(), symbol, probability, self._base))
            elif ended:
                self._found.add(rest.text, probability)
            else:
                nodes.append(self._node(rest, symbol, probability, self._base))
        return nodes

    def _node(self, prefix: Prefix, symbol: int, probability: float, row: int) -> Node:
        return Node(-probability, next(self._numbers), row, symbol, prefix)

    def _discard(self, probability: float) -> None:
        self._discarded = max(self._discarded, probability)


class _BestFirstSearch(_Search):
    """Expands the likeliest prefixes first, at most `effort` of them."""

    def __init__(self, boundary: Boundary, start: SearchStart) -> None:
        options = start.options
        self._effort, self._sought = options.effort, max(options.n, min(_SOUGHT, options.effort))
        self._lanes = options.lanes or _LANES
        self._finishing = False
        lanes = max(self._lanes, self._sought)
        self.spare = 1 + lanes + self._effort
        self.capacity = self.spare + lanes
        floor = FLOOR if options.floor is None else options.floor
        super().__init__(boundary, start, _FoundContinuations(options, floor, self._sought))

    def _expand(self) -> Generator[Expansion, np.ndarray, None]:
        nodes, self._frontier = self._frontier, []
        self._push(nodes)
        row = self._base + 1
        while self._steps < self._effort and (nodes := self._pop(self._lanes)):
            for children in (yield from self._step(nodes, row)):
                self._push(children)
            row += len(nodes)
        yield from self._finish()

    def _finish(self) -> Generator[Expansion, np.ndarray, None]:
        """Extends the likeliest prefixes by their likeliest symbols, for at most `_FINISHING` steps."""
        self._finishing = True
        nodes = self._pop(self._sought)
        for _ in range(_FINISHING):
            if not nodes:
                break
            expanded = yield from self._step(nodes, self._base)
            nodes = []
            for children in expanded:
                if children:
                    children.sort()
                    nodes.append(children[0])
                    self._push(children[1:])
        self._push(nodes)
        if self._frontier:
            self._discard(-self._frontier[0].cost)

    def _most_children(self) -> int:
        return 1 if self._finishing else max(1, self._effort - self._steps) + self._sought

    def _push(self, nodes: list[Node]) -> None:
        for node in nodes:
            heappush(self._frontier, node)

    def _pop(self, most: int) -> list[Node]:
        """Removes the likeliest nodes from the frontier and returns them; none if the search may end."""
        nodes: list[Node] = []
        if not self._frontier or -self._frontier[0].cost <= self._found.last:
            return nodes
        while self._frontier and len(nodes) < most and -self._frontier[0].cost > self._found.bar:
            nodes.append(heappop(self._frontier))
        return nodes


class _BeamSearch(_Search):
    """Expands the likeliest prefixes of one length at a time, and discards the others."""

    def __init__(self, boundary: Boundary, start: SearchStart) -> None:
        options = start.options
        self._lanes = options.lanes or max(_BEAM, 2 * options.n)
        self.capacity = self.spare = max(self._lanes, options.n)
        super().__init__(boundary, start, _FoundContinuations(options, options.floor or 0.0, options.n))

    def _expand(self) -> Generator[Expansion, np.ndarray, None]:
        while nodes := self._beam():
            expanded = yield from self._step(nodes, self._base)
            self._frontier = [child for children in expanded for child in children]

    def _most_children(self) -> None:
        return None

    def _beam(self) -> list[Node]:
        """Returns the likeliest nodes of the frontier, and discards the others."""
        nodes = sorted(node for node in self._frontier if -node.cost > self._found.bar)
        beam, rest = nodes[: self._lanes], nodes[self._lanes :]
        if beam and beam[0].prefix.size >= LONGEST:
            for node in beam:
                self._found.add(node.prefix.text, -node.cost)
            beam, rest = [], nodes
        if rest:
            self._discard(-rest[0].cost)
        return beam


def _search(boundary: Boundary, start: SearchStart) -> _Search:
    return (_BestFirstSearch if start.options.until == "word" else _BeamSearch)(boundary, start)
