"""The layout of a memory: one array of 32-bit words, of fixed size.

    place      number of symbols, hashes of the word and of the word before it, the match and its length;
               then the number of symbols from which the mixer has learned
    text       the last symbols, as a ring
    heads      for each hash of the last `SHORTEST_MATCH` symbols, the position after them
    cells      for each context and pair of counts, how often a symbol with such counts came
    weights    of the mixer, float32
    curves     of the refinement
    table      buckets of entries: check bits of a context, a symbol, and its count in this context

The journal, from which symbols are taken back, is separate.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onward.data.vocabulary import SPECIAL, Vocabulary
from onward.errors import InputError

MEGABYTES = 16.0
"""Default size of a memory."""

LEAST_MEGABYTES, MOST_MEGABYTES = 1.0, 1024.0

RECENT, MOST_CANDIDATES, BUCKET, MOST_COUNT, LATEST, LEVELS, LENGTHS = 16, 40, 16, 31, 32, 12, 13
RANKS, CHANCES, CURVES, POINTS, SHORTEST_MATCH, LONGEST_MATCH, FADE_ABOVE = 4, 8, 1024, 33, 12, 65535, 5
FEW_OBSERVATIONS, MANY_OBSERVATIONS, MOST_RECORDED = 255, 1000, 4096
ENOUGH, CLEAR, LARGEST, LEAST = 1e-3, 5e-3, 16.0, 1e-7
ONE = (1 << 22) - 1
"""Constants of memory.c, where they are explained."""

WORD, PAIR, PREVIOUS = 100, 101, 102
"""Other contexts: the word so far; the previous word with it; the previous word with the last symbol."""

NUMBER, WORD_HASH, PREVIOUS_HASH, MATCH, LENGTH, HEADER = range(6)
"""Fields of a place; after them come the last symbols."""

PLACE = HEADER + RECENT
"""Number of words of a place."""

LEARNED = HEADER
"""The word with the number of symbols from which the mixer has learned; symbols that were only counted do not
slow its learning rate."""

FIRST_RATE, LAST_RATE, SLOWING = 0.02, 0.001, 2000.0
"""The mixer's first and last learning rate, and the number of symbols after which it is halfway between."""

LOGITS = np.log((np.arange(4096) + 0.5) / (4095.5 - np.arange(4096)))
"""The logit of each probability in 4096ths."""

_OF_TEXT, _OF_SYMBOLS = (10, 6, PAIR, 4, WORD, 3, 2, 1, PREVIOUS), (6, 5, 4, 3, 2, 1)
_WEIGHT, _MATCH_WEIGHT = 0.1, 0.3  # of a context, and of the match, at the start
_WORDS_PER_MEGABYTE = 1 << 18
_LEAST_WORDS_PER_SYMBOL = 16  # of the journal; most symbols take more
_MOST_SYMBOL_BITS = 20


@dataclass(frozen=True)
class Layout:
    """The sizes of a memory.

    Args:
        vocabulary: of the model.
        megabytes: size of the memory with its journal.

    Raises:
        InputError: the size is not from 1 to 1024 megabytes, or the vocabulary has over a million symbols.
    """

    vocabulary: Vocabulary
    megabytes: float | int = MEGABYTES

    def __post_init__(self) -> None:
        if not LEAST_MEGABYTES <= self.megabytes <= MOST_MEGABYTES:
            raise InputError(
                f"expected a memory of {LEAST_MEGABYTES:g} to {MOST_MEGABYTES:g} megabytes, "
                f"got {self.megabytes:g}",
                hint="0 turns the memory off",
            )
        if self.symbol_bits > _MOST_SYMBOL_BITS:
            raise InputError(
                f"expected at most {1 << _MOST_SYMBOL_BITS:,} symbols with a memory, got {self.symbols:,}",
                hint="turn the memory off with the size 0",
            )

    @property
    def symbols(self) -> int:
        """V."""
        return len(self.vocabulary)

    @property
    def symbol_bits(self) -> int:
        """Number of bits of a symbol in an entry."""
        return max(1, (self.symbols - 1).bit_length())

    @cached_property
    def kinds(self) -> np.ndarray:
        """The contexts, the most informative first: a number of last symbols, WORD, PAIR or PREVIOUS."""
        return np.array(_OF_TEXT if self.letters.any() else _OF_SYMBOLS, np.int64)

    @cached_property
    def letters(self) -> np.ndarray:
        """A number for each letter, the same for both cases, and 0 for all other symbols, (V,)."""
        letters, found = np.zeros(self.symbols, np.uint32), dict[str, int]()
        if self.vocabulary.kind == "words":
            return letters
        for i, symbol in enumerate(self.vocabulary.symbols, len(SPECIAL)):
            if symbol.isalpha() or symbol == "'" or (self.vocabulary.kind == "bytes" and ord(symbol) >= 128):
                letters[i] = found.setdefault(symbol.lower(), len(found) + 1)
        return letters

    @property
    def inputs(self) -> int:
        """Inputs of the mixer: the network, the contexts, the match, and a constant."""
        return len(self.kinds) + 3

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Number of words of each part, in the order of the module's docstring."""
        words = int(self.megabytes * _WORDS_PER_MEGABYTE)
        contexts = len(self.kinds)
        parts = {
            "place": HEADER + 1,
            "text": 1 << (words // 8).bit_length() - 1,
            "heads": 1 << (words // 32).bit_length() - 1,
            "cells": contexts * 2 * LEVELS * LEVELS + LENGTHS,
            "weights": ((contexts + 1) * RANKS + LENGTHS * CHANCES) * self.inputs,
            "curves": CURVES * POINTS,
        }
        used = sum(parts.values())
        parts["place"] += -used % BUCKET  # so that buckets are cache lines
        rest = words - self.journal - self.most_undoable - used - BUCKET
        return {**parts, "table": rest // BUCKET * BUCKET}

    @cached_property
    def offsets(self) -> dict[str, int]:
        """The first word of each part."""
        ends = np.cumsum([0, *self.sizes.values()]).tolist()
        return dict(zip(self.sizes, ends, strict=False))

    @property
    def journal(self) -> int:
        """Number of words of the journal."""
        return int(self.megabytes * _WORDS_PER_MEGABYTE) // 4

    @property
    def most_undoable(self) -> int:
        """Maximum number of symbols that can be taken back. Each takes one word outside the journal."""
        return self.journal // _LEAST_WORDS_PER_SYMBOL

    def empty(self) -> np.ndarray:
        """Returns the words of an empty memory, which predicts what the network does."""
        words = aligned(sum(self.sizes.values()))
        start = self.offsets["cells"]
        words[start : start + len(self._start)] = self._start
        return words

    @cached_property
    def _start(self) -> np.ndarray:
        """The cells, weights and curves of an empty memory."""
        return np.concatenate([self._cells(), self._weights(), _curves()])

    def _cells(self) -> np.ndarray:
        """Returns the initial cells, estimated from the counts alone."""
        middles = np.array([0, 1, 2, 3, 4, 5.5, 8, 12, 18, 26, 40, 80])
        own, others = middles[:, None], middles[None]
        latest = np.array([0.0, 0.3])[:, None, None]
        chances = (own + np.where(own > 0, 0.8, 0.24) + latest) / (own + others + 0.8)
        of_context = _cell(np.minimum(chances, 0.99), 50).ravel()
        of_match = _cell(1 - 1 / (3 + 2 * np.arange(LENGTHS)), 50)
        return np.concatenate([*[of_context] * len(self.kinds), of_match])

    def _weights(self) -> np.ndarray:
        """Returns the initial weights, which keep the network's prediction where nothing was counted."""
        contexts = len(self.kinds)
        first = np.zeros(((contexts + 1) * RANKS, self.inputs), np.float32)
        first[:, 0], first[:, 1 : contexts + 1], first[:, contexts + 1] = 1, _WEIGHT, _MATCH_WEIGHT
        second = np.zeros(LENGTHS * CHANCES * self.inputs, np.float32)
        return np.concatenate([first.ravel(), second]).view(np.uint32)


def aligned(words: int) -> np.ndarray:
    """Returns zeros (N,) in uint32, aligned to cache lines, so that each bucket is one cache line."""
    raw = np.zeros(words + BUCKET, np.uint32)
    return raw[-(raw.ctypes.data // raw.itemsize) % BUCKET :][:words]


def _curves() -> np.ndarray:
    """Returns the initial curves, which keep the mixed probability."""
    logits = np.arange(POINTS) / 2 - 8
    return np.tile(_cell(1 / (1 + np.exp(-logits)), 8), CURVES)


def _cell(chances: np.ndarray, observations: int) -> np.ndarray:
    """Returns cells with these probabilities: 22 bits, and 10 bits for the number of observations."""
    return (chances * ONE).astype(np.uint32) << 10 | np.uint32(observations)
