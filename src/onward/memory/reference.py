"""The memory in Python: the reference for memory.c, and its replacement if it was not compiled.

*Evidence.* For each context (the last 1 to 10 symbols, the word so far, ...) a bucket of a hash table has the
symbols that followed it, with their counts. When a symbol comes, its count grows by 1, and the counts of the
other symbols of the context fade. When a bucket is full, the lowest count is replaced. The match is the
position after the last occurrence of the last symbols; it predicts the symbol that followed there.

*Candidates.* The symbol of the match and all symbols that followed a context are candidates, those of the
most informative context first. For each in turn, a decision estimates the probability that it comes, given
that no earlier candidate does. All other symbols share the remaining probability in proportion to the
network's prediction. So there are few decisions, whatever the size of the vocabulary, and the probabilities
of all symbols add up to 1.

*Decision.* Each context has two counts: that of the candidate, and the sum of those of later candidates. For
each context and pair of counts, a cell estimates the probability that the candidate comes. Logistic mixing
(Mahoney 2005) adds up the logits of the cells and of the network, with weights that it learns by gradient
descent. Each decision uses two sets of weights. One is chosen by the context that named the candidate and by
the candidate's rank, the other by the length of the match and the network's probability. The refinement
(secondary symbol estimation in PAQ) is a curve from the mixed logit to the observed frequency of the
candidate. The candidate and the symbol before it choose the curve. The result is the mean of the mixed and
the refined probability.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from onward.memory.kernel import Kernel
from onward.memory.layout import (
    BUCKET,
    CHANCES,
    CLEAR,
    ENOUGH,
    FADE_ABOVE,
    FEW_OBSERVATIONS,
    FIRST_RATE,
    HEADER,
    LARGEST,
    LAST_RATE,
    LATEST,
    LEARNED,
    LEAST,
    LENGTH,
    LEVELS,
    LOGITS,
    LONGEST_MATCH,
    MANY_OBSERVATIONS,
    MATCH,
    MOST_CANDIDATES,
    MOST_COUNT,
    MOST_RECORDED,
    NUMBER,
    ONE,
    PAIR,
    POINTS,
    PREVIOUS,
    PREVIOUS_HASH,
    RANKS,
    RECENT,
    SHORTEST_MATCH,
    SLOWING,
    WORD,
    WORD_HASH,
    Layout,
)

_LENGTH_LEVELS = (0, 1, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128, 256)
_COUNT_LEVELS = (0, 1, 2, 3, 4, 5, 5, 6, 6, 6, *[7] * 5, *[8] * 7, *[9] * 9, 10)
_ALL = (1 << 32) - 1
_NOTHING = 0xFFFFFFFE  # stands for symbols before the text
_TINY = 1e-30


@dataclass
class _Evidence:
    """The candidates for the next symbol, with their counts and the network's probabilities.

    Attributes:
        hashes: of the contexts.
        length: level of the length of the match; 0 if there is none.
        totals: sum of the counts of each context.
        named_by: for each candidate, in order, the first context that has it.
        entries: for each candidate and context, the count and the bit LATEST.
        chances: for each candidate, the network's probability of it, given that no earlier one comes.
        tails: for each candidate, the network's probability of it or any symbol after it; then of the rest.
    """

    hashes: list[int]
    length: int
    totals: list[int]
    named_by: dict[int, int]
    entries: dict[int, list[int]]
    chances: list[float]
    tails: list[float]


@dataclass
class _Decision:
    """A decision: the inputs, the offsets of its parameters in the words, and the result."""

    x: np.ndarray
    cells: list[int]
    weights: tuple[int, int]
    curve: int
    mixed: float
    probability: float


class ReferenceKernel(Kernel):
    """A memory in Python. The arguments are those of `Kernel`."""

    def __init__(self, layout: Layout, undo: int) -> None:
        super().__init__(layout, undo)
        self._records: list[list[tuple[int, list[int]]]] = []  # for each symbol: offset, old words
        self._recorded: list[int] = []  # number of words of each record in memory.c
        self._number = layout.sizes["text"]

    @property
    def undoable(self) -> int:
        return len(self._records)

    def read(self, ids: np.ndarray, network: np.ndarray) -> np.ndarray:
        nats = np.empty(len(ids))
        for t, symbol in enumerate(ids.tolist()):
            place = self.place().tolist()
            found = self._compared(self._gathered(place), network[t])
            left, remaining, came = found.totals[:], 1.0, False
            made: list[_Decision] = []
            for candidate in self._undecided(found):
                if came or remaining < ENOUGH:
                    break
                decision = self._decide(found, len(made), candidate, left, place[HEADER])
                made.append(decision)
                came = candidate == symbol
                remaining *= decision.probability if came else 1 - decision.probability
            if not came:
                remaining *= float(network[t, symbol]) / max(found.tails[len(made)], _TINY)
            nats[t] = -math.log(max(remaining, 1e-300))
            self._begin()
            for decision in made:
                self._learn(decision, came and decision is made[-1])
            self._set(LEARNED, int(self.words[LEARNED]) + 1)
            self._append(place, found.hashes, symbol)
            self._end()
        return nats

    def count(self, ids: np.ndarray) -> None:
        for symbol in ids.tolist():
            place = self.place().tolist()
            self._begin()
            self._append(place, self._hashes(place), symbol)
            self._end()

    def take_back(self, symbols: int) -> None:
        for _ in range(symbols):
            self._recorded.pop()
            for at, old in reversed(self._records.pop()):
                self.words[at : at + len(old)] = old

    def place(self) -> np.ndarray:
        number = int(self.words[NUMBER])
        recent = [self._text(number - 1 - i) if i < number else _NOTHING for i in range(RECENT)]
        return np.array([*self.words[:HEADER].tolist(), *recent], np.uint32)

    def advance(self, places: np.ndarray, ids: np.ndarray) -> None:
        for i, symbol in enumerate(ids.tolist()):
            place = places[i].tolist()
            self._advance(place, symbol)
            places[i] = place

    def refine(self, places: np.ndarray, probabilities: np.ndarray) -> None:
        for network, place in zip(probabilities, places.tolist(), strict=True):
            found = self._compared(self._gathered(place), network)
            left, remaining, chances = found.totals[:], 1.0, dict[int, float]()
            for candidate in self._undecided(found):
                if remaining < ENOUGH:
                    break
                decision = self._decide(found, len(chances), candidate, left, place[HEADER])
                chances[candidate] = remaining * decision.probability
                remaining *= 1 - decision.probability
            factor = remaining / max(found.tails[len(chances)], _TINY)
            network[:] = network * np.float32(factor)
            network[[*chances]] = [*chances.values()]

    def copy(self) -> Self:
        twin = object.__new__(type(self))
        twin.layout, twin.undo, twin._number = self.layout, self.undo, self._number
        twin.words = self.words.copy()
        twin._records, twin._recorded = self._records[:], self._recorded[:]
        return twin

    # the journal

    def _begin(self) -> None:
        if not self.undo:
            return
        while self._records and (
            len(self._records) == self.undo or self.layout.journal - sum(self._recorded) < MOST_RECORDED
        ):
            del self._records[0], self._recorded[0]
        self._records.append([])

    def _end(self) -> None:
        if self.undo:
            self._recorded.append(sum(len(old) + 1 for _, old in self._records[-1]))

    def _record(self, at: int, count: int) -> None:
        if self.undo:
            self._records[-1].append((at, self.words[at : at + count].tolist()))

    def _set(self, at: int, word: int) -> None:
        if self.words[at] != word:
            self._record(at, 1)
            self.words[at] = word

    # places

    def _has(self, position: int) -> bool:
        return 1 <= (int(self.words[NUMBER]) - position & _ALL) <= self._number

    def _text(self, position: int) -> int:
        return int(self.words[self.layout.offsets["text"] + (position & self._number - 1)])

    def _head(self, recent: list[int]) -> int:
        h = 7
        for symbol in recent[:SHORTEST_MATCH]:
            h = _mix(h, symbol)
        return self.layout.offsets["heads"] + ((h * 0x9E3779B1 & _ALL) >> 8 & self.layout.sizes["heads"] - 1)

    def _advance(self, place: list[int], symbol: int) -> None:
        recent = [symbol, *place[HEADER:-1]]
        place[HEADER:] = recent
        place[NUMBER] += 1
        letter = int(self.layout.letters[symbol])
        if letter:
            place[WORD_HASH] = _mix(place[WORD_HASH], letter)
        elif place[WORD_HASH]:
            place[PREVIOUS_HASH], place[WORD_HASH] = place[WORD_HASH], 0
        if place[LENGTH] and self._has(place[MATCH]) and self._text(place[MATCH]) == symbol:
            place[MATCH] += 1
            place[LENGTH] = min(place[LENGTH] + 1, LONGEST_MATCH)
            return
        at, length = int(self.words[self._head(recent)]), 0
        while (
            at
            and length < RECENT
            and self._has(at - 1 - length)
            and self._text(at - 1 - length) == recent[length]
        ):
            length += 1
        place[MATCH], place[LENGTH] = (at, length) if length >= SHORTEST_MATCH else (0, 0)

    # counts

    def _hashes(self, place: list[int]) -> list[int]:
        recent, orders = place[HEADER:], [0x12345]
        for symbol in recent:
            orders.append(_mix(orders[-1], symbol))
        special = {
            WORD: _mix(place[WORD_HASH], 1),
            PAIR: _mix(_mix(place[WORD_HASH], place[PREVIOUS_HASH]), 2),
            PREVIOUS: _mix(_mix(place[PREVIOUS_HASH], recent[0]), 3),
        }
        hashes = []
        for i, kind in enumerate(self.layout.kinds.tolist()):
            h = special[kind] if kind in special else orders[kind]
            h = (h ^ h >> 16) * 0x85EBCA6B & _ALL
            h = (h ^ (i + 1) * 0xC2B2AE35 & _ALL) * 0x27D4EB2F & _ALL
            hashes.append(h ^ h >> 15)
        return hashes

    def _bucket(self, h: int) -> int:
        buckets = self.layout.sizes["table"] // BUCKET
        return self.layout.offsets["table"] + (h * buckets >> 32) * BUCKET

    def _check(self, h: int) -> int:
        return (h * 0x85EBCA6B & _ALL) >> 6 + self.layout.symbol_bits

    def _parts(self, entry: int) -> tuple[int, int, int]:
        """Returns the check bits, the symbol, and the count with LATEST."""
        bits = self.layout.symbol_bits
        return entry >> 6 + bits, entry >> 6 & (1 << bits) - 1, entry & (LATEST | MOST_COUNT)

    def _count(self, hashes: list[int], symbol: int) -> None:
        for h in hashes:
            bucket, check, found = self._bucket(h), self._check(h), -1
            lowest = bucket
            for at in range(bucket, bucket + BUCKET):
                entry = int(self.words[at])
                of, followed, _ = self._parts(entry)
                counted = entry & MOST_COUNT
                if counted and of == check:
                    if followed == symbol:
                        found = at
                        continue
                    if counted > FADE_ABOVE:
                        counted = (counted + FADE_ABOVE) // 2
                    self._set(at, entry & ~(MOST_COUNT | LATEST) | counted)
                if counted < int(self.words[lowest]) & MOST_COUNT:
                    lowest = at
            if found >= 0:
                entry = int(self.words[found])
                self._set(found, (entry | LATEST) + ((entry & MOST_COUNT) < MOST_COUNT))
                continue
            if int(self.words[lowest]) & MOST_COUNT:
                for at in range(bucket + (int(self.words[NUMBER]) & 3), bucket + BUCKET, 4):
                    if at != lowest and int(self.words[at]) & MOST_COUNT > 1:
                        self._set(at, int(self.words[at]) - 1)
            self._set(lowest, check << 6 + self.layout.symbol_bits | symbol << 6 | LATEST | 1)

    def _append(self, place: list[int], hashes: list[int], symbol: int) -> None:
        self._count(hashes, symbol)
        self._set(self.layout.offsets["text"] + (place[NUMBER] & self._number - 1), symbol)
        self._set(NUMBER, place[NUMBER] + 1)
        self._advance(place, symbol)
        self._set(self._head(place[HEADER:]), place[NUMBER])
        for i in range(WORD_HASH, HEADER):
            self._set(i, place[i])

    # evidence

    def _gathered(self, place: list[int]) -> _Evidence:
        """Collects the candidates and their counts."""
        contexts = len(self.layout.kinds)
        found = _Evidence(self._hashes(place), 0, [0] * contexts, {}, {}, [], [])

        def is_candidate(symbol: int, context: int) -> bool:
            if symbol not in found.entries and len(found.entries) < MOST_CANDIDATES:
                found.named_by[symbol], found.entries[symbol] = context, [0] * contexts
            return symbol in found.entries

        if place[LENGTH] and self._has(place[MATCH]):
            found.length = _level(place[LENGTH])
            is_candidate(self._text(place[MATCH]), contexts)
        for i, h in enumerate(found.hashes):
            bucket, check = self._bucket(h), self._check(h)
            parts = [self._parts(entry) for entry in self.words[bucket : bucket + BUCKET].tolist()]
            own = [part for part in parts if part[0] == check and part[2] & MOST_COUNT]
            for _, symbol, counted in sorted(own, key=lambda part: -part[2]):
                if symbol < self.layout.symbols and is_candidate(symbol, i):
                    found.entries[symbol][i] = counted
                    found.totals[i] += counted & MOST_COUNT
        return found

    def _compared(self, found: _Evidence, network: np.ndarray) -> _Evidence:
        """Fills in the network's probabilities."""
        symbols = [*found.entries]
        tail = float(np.delete(network, symbols).sum(dtype=np.float64))
        found.tails = [tail]
        for symbol in reversed(symbols):
            tail += float(network[symbol])
            found.tails.append(tail)
        found.tails.reverse()
        found.chances = [
            float(network[s]) / max(tail, _TINY) for s, tail in zip(symbols, found.tails, strict=False)
        ]
        return found

    # decisions

    def _undecided(self, found: _Evidence) -> list[int]:
        """Returns the candidates to decide on; if all symbols are candidates, the last needs no decision."""
        return [*found.entries][: self.layout.symbols - 1]

    def _decide(self, found: _Evidence, c: int, candidate: int, left: list[int], last: int) -> _Decision:
        """Computes the probability that candidate number c comes, if no earlier one does.

        `left` has each context's sum of counts of this and later candidates; on return, of later ones.
        """
        contexts, offsets = len(left), self.layout.offsets
        chance = min(max(found.chances[c], LEAST), 1 - LEAST)
        network = math.log(chance / (1 - chance))
        cells, at = [], offsets["cells"]
        for i, entry in enumerate(found.entries[candidate]):
            latest, counted = divmod(entry, LATEST)
            others = left[i] - counted
            row = (latest * LEVELS + _count_level(counted)) * LEVELS
            cells.append(at + row + _count_level(others) if left[i] else -1)
            left[i] = others
            at += 2 * LEVELS * LEVELS
        length = found.length if c == 0 else 0
        cells.append(at + length if length else -1)
        of_cells = [float(LOGITS[int(self.words[cell]) >> 20]) if cell >= 0 else 0.0 for cell in cells]
        x = np.array([network, *of_cells, 0.3])
        level = int(min(max(math.floor((network + 8) / 2), 0), CHANCES - 1))
        first = found.named_by[candidate] * RANKS + min(c, RANKS - 1)
        second = (contexts + 1) * RANKS + length * CHANCES + level
        weights = (offsets["weights"] + first * len(x), offsets["weights"] + second * len(x))
        logit = float(sum(self._weights(at).astype(np.float64) @ x for at in weights))
        logit = min(max(logit, -LARGEST), LARGEST)
        mixed = 1 / (1 + math.exp(-logit))
        place = min(max((logit + 8) * 2, 0), POINTS - 1.001)
        point = int(place)
        curve = ((last + 1) * 0x9E3779B1 + candidate * 0x85EBCA6B & _ALL) >> 22
        at = offsets["curves"] + curve * POINTS + point
        low, high = (int(word) >> 10 for word in self.words[at : at + 2])
        refined = (low + (high - low) * (place - point)) / ONE
        probability = min(max(0.5 * mixed + 0.5 * refined, 1e-6), 1 - 1e-6)
        return _Decision(x, cells, weights, at + (place - point >= 0.5), mixed, probability)

    def _weights(self, at: int) -> np.ndarray:
        return self.words[at : at + self.layout.inputs].view(np.float32)

    def _learn(self, decision: _Decision, came: bool) -> None:
        error = came - decision.mixed
        if abs(error) > CLEAR:
            rate = LAST_RATE + (FIRST_RATE - LAST_RATE) / (1 + int(self.words[LEARNED]) / SLOWING)
            for at in decision.weights:
                self._record(at, self.layout.inputs)
                weights = self._weights(at)
                weights[:] = weights + rate * error * decision.x
        for cell in decision.cells:
            if cell >= 0:
                self._observe(cell, came, MANY_OBSERVATIONS)
        self._observe(decision.curve, came, FEW_OBSERVATIONS)

    def _observe(self, at: int, came: bool, most: int) -> None:
        p, observations = divmod(int(self.words[at]), 1024)
        step = int(((ONE if came else 0) - p) * 2 / (2 * observations + 3))
        self._set(at, p + step << 10 | observations + (observations < most))


def _mix(h: int, symbol: int) -> int:
    h = (h ^ symbol + 1) * 0x9E3779B1 & _ALL
    return h ^ h >> 15


def _level(length: int) -> int:
    return sum(length >= least for least in _LENGTH_LEVELS[1:])


def _count_level(counted: int) -> int:
    return _COUNT_LEVELS[counted] if counted <= MOST_COUNT else 10 if counted < 64 else 11
