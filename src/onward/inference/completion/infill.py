"""Infilling: a search for the text between a prefix and a suffix.

The model reads from left to right, so it cannot read the suffix before it writes. Instead, a beam search
finds candidates after the prefix, and the suffix decides between them:

    search    Each prefix of the beam is a candidate that ends there, with the probability of the candidate
              and of the suffix's first symbol after it. The candidates with the highest such probability are
              kept. Without a suffix, a candidate ends at the end of the line.
    re-rank   The model reads the first symbols of the suffix after each candidate. The candidates are ranked
              by p(candidate | prefix) p(suffix | prefix, candidate), which is proportional to the probability
              of the candidate given both.

A candidate is a part of one line. With a suffix, the empty text is a candidate too. It comes first if it is
likelier than all others together, and last otherwise.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, TypedDict

import numpy as np

from onward.data.vocabulary import Vocabulary
from onward.errors import InputError
from onward.inference.completion.boundaries import LineEnd, Prefix
from onward.inference.completion.options import Completion
from onward.inference.completion.search import SearchStart
from onward.inference.completion.search_states import Expansion, Node, StateTable, softmax
from onward.inference.step.stepper import Stepper

HEAD = 32
"""Number of symbols of the suffix that the model reads."""

EVEN = 0.5
"""The empty text is the first candidate if its probability is above this."""

_NEGLIGIBLE = 1e-4  # prefixes that are this much less likely than the best candidate are dropped
_SEARCH_SHARE = 0.7  # of the time; the re-ranking gets the rest


@dataclass(frozen=True, kw_only=True)
class InfillOptions:
    """How to fill in a text.

    Attributes:
        n: maximum number of candidates.
        length: maximum number of symbols of a candidate (of characters, if the symbols are bytes).
        seconds: time after which the best candidates so far are returned; None: no limit.
        beam: number of prefixes that are expanded in one step, and of candidates that are re-ranked.

    Raises:
        InputError: a value is out of range.
    """

    n: int = 5
    length: int = 200
    seconds: float | int | None = None
    beam: int = 16

    def __post_init__(self) -> None:
        for name in ("n", "beam"):
            if getattr(self, name) < 1:
                raise InputError(f"expected {name} of 1 or more, got {getattr(self, name)}")
        for name in ("length", "seconds"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InputError(f"expected {name} of 0 or more, got {value}")


class InfillKeywords(TypedDict, total=False):
    """The options of `InfillOptions` as keyword arguments."""

    n: int
    length: int
    seconds: float | int | None
    beam: int


class _Candidate(NamedTuple):
    """A candidate: its text, its weight, and the row of the state after it."""

    text: str
    weight: float
    row: int


class _Candidates:
    """The candidates with the greatest weights. Each has one of the rows from `first_row` on."""

    def __init__(self, table: StateTable, first_row: int, most: int) -> None:
        self._table, self._free = table, [*range(first_row, first_row + most)]
        self.best: dict[str, _Candidate] = {}

    @property
    def bar(self) -> float:
        """The weight that a further candidate must exceed."""
        weights = [each.weight for each in self.best.values()]
        worst = 0.0 if self._free else min(weights)
        return max(worst, _NEGLIGIBLE * max(weights, default=0.0))

    def offer(self, text: str, weight: float, row: int) -> None:
        """Adds a candidate if it is good enough, and keeps the state of a row for it."""
        if weight <= self.bar or (text in self.best and self.best[text].weight >= weight):
            return
        dropped = self.best.pop(text, None)
        if not dropped and not self._free:
            dropped = self.best.pop(min(self.best.values(), key=lambda each: each.weight).text)
        kept = dropped.row if dropped else self._free.pop()
        self._table.copy(row, kept)
        self.best[text] = _Candidate(text, weight, kept)


def infill(
    stepper: Stepper, vocabulary: Vocabulary, start: SearchStart, suffix: np.ndarray, options: InfillOptions
) -> Generator[None, None, tuple[Completion, ...]]:
    """Finds the likeliest texts between a prefix and a suffix. Yields after each step of the model.

    Args:
        stepper: stepper of the model; its state changes.
        vocabulary: vocabulary of the model.
        start: the model after the prefix.
        suffix: ids of the suffix, (N,); with none, candidates go to the end of the line.
        options: what to find.

    Returns:
        The candidates, the likeliest first, with the probability of each among the candidates.

    Raises:
        InputError: the symbols are words.
    """
    if vocabulary.kind == "words":
        raise InputError(
            "expected a model of characters or bytes to fill in a text, got one of words",
            hint="leave out the suffix, or use another model",
        )
    search = _InfillSearch(stepper, vocabulary, start, suffix[:HEAD], options)
    yield from search.find()
    yield from search.rerank()
    return search.ranked()


class _InfillSearch:
    def __init__(
        self,
        stepper: Stepper,
        vocabulary: Vocabulary,
        start: SearchStart,
        head: np.ndarray,
        options: InfillOptions,
    ) -> None:
        self._started = time.perf_counter()
        self._line, self._start, self._head, self._options = LineEnd(vocabulary), start, head, options
        self._table = StateTable(stepper, [start.state], [2 * options.beam], [start.memory])
        (self._base,) = self._table.bases
        self._kept = self._base + 1 + options.beam
        self._candidates = _Candidates(self._table, self._kept, options.beam)
        self._numbers = count()

    def find(self) -> Generator[None, None, None]:
        """Finds the candidates."""
        probabilities = softmax(self._start.logits[None])
        if memory := self._start.memory:
            probabilities = memory.refine(memory.place()[None], probabilities)
        prefixes, first_row, nodes = [self._start.prefix], self._base, list[Node]()
        while True:
            for i, prefix in enumerate(prefixes):
                self._offer(prefix, first_row + i, probabilities[i])
            following = self._beam(prefixes, first_row, probabilities)
            if not following:
                return
            if following[0].prefix.size > self._options.length or self._is_late(_SEARCH_SHARE):
                self._offer_unended(nodes, first_row)
                return
            nodes, first_row = following, self._base + 1
            (probabilities,) = self._table.step({0: Expansion(nodes, first_row)})
            prefixes = [node.prefix for node in nodes]
            yield

    def rerank(self) -> Generator[None, None, None]:
        """Multiplies the weight of each candidate by the probability of the suffix after it."""
        for symbol, following in zip(self._head[:-1].tolist(), self._head[1:].tolist(), strict=True):
            best = [*self._candidates.best.values()]
            greatest = max((each.weight for each in best), default=0.0)
            if greatest <= 0 or len(best) < 2 or self._is_late(1.0):
                return
            best = [each for each in best if each.weight > _NEGLIGIBLE * greatest]
            nodes = [
                Node(-each.weight / greatest, next(self._numbers), each.row, symbol, Prefix(each.text))
                for each in best
            ]
            (probabilities,) = self._table.step({0: Expansion(nodes, self._kept)})
            self._candidates.best = {
                each.text: _Candidate(each.text, float(probabilities[i, following]), self._kept + i)
                for i, each in enumerate(best)
            }
            yield

    def ranked(self) -> tuple[Completion, ...]:
        """Returns the candidates, the likeliest first."""
        found = [*self._candidates.best.values()]
        total = sum(each.weight for each in found)
        best = [Completion(each.text, each.weight / total) for each in found if each.weight > 0]
        best.sort(key=lambda each: (not each.text and each.probability <= EVEN, -each.probability))
        return tuple(best[: self._options.n])

    def _offer(self, prefix: Prefix, row: int, probabilities: np.ndarray) -> None:
        """Offers a candidate that ends after a prefix."""
        if prefix.pending:
            return
        if len(self._head):
            weight = float(probabilities[self._head[0]])
        else:
            weight = float(probabilities[self._line.endings(prefix)].sum())
        self._candidates.offer(prefix.text, weight, row)

    def _offer_unended(self, nodes: list[Node], first_row: int) -> None:
        """Offers the prefixes of the beam, if there is no suffix that a candidate must end before."""
        for i, node in enumerate(nodes):
            if node.prefix.text and not len(self._head):
                self._candidates.offer(node.prefix.text, -node.cost, first_row + i)

    def _beam(self, prefixes: list[Prefix], first_row: int, probabilities: np.ndarray) -> list[Node]:
        """Returns the likeliest children of all prefixes.

        Args:
            prefixes: the prefixes, B of them.
            first_row: row of the state after the first; those after the others follow.
            probabilities: probability of each prefix with each symbol after it, (B, V).
        """
        allowed = np.stack([self._line.extensions(prefix) for prefix in prefixes])
        likely = np.where(allowed, probabilities, 0.0).ravel()
        beam = self._options.beam
        chosen = np.argpartition(-likely, min(beam, len(likely) - 1))[:beam]
        chosen = chosen[likely[chosen] > self._candidates.bar]
        nodes = []
        for place in chosen[np.argsort(-likely[chosen], kind="stable")].tolist():
            parent, symbol = divmod(place, probabilities.shape[1])
            longer, _ = self._line.extended(prefixes[parent], symbol)
            cost = -float(likely[place])
            nodes.append(Node(cost, next(self._numbers), first_row + parent, symbol, longer))
        return nodes

    def _is_late(self, share: float) -> bool:
        """Whether this share of the time has passed."""
        seconds = self._options.seconds
        return seconds is not None and time.perf_counter() - self._started > share * seconds
