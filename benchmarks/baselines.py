"""Completers without a network, as baselines for the model: words by frequency, and character n-grams."""

import re
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch

from onward.data.vocabulary import END, Vocabulary
from onward.inference.completion.options import Completing
from onward.inference.completion.search import Begun, complete
from onward.layers.state import State

_WORD = re.compile(r"\w+")
_BEGUN = re.compile(r"\w*\Z")
_MOST_KNOWN = 300_000  # distributions that are kept, to be computed once
_BITS = 8  # of a symbol in a gram: eight symbols fill 64 bits


def ends_word(text: str, at: int) -> bool:
    """Returns whether a position of a text has no letter."""
    return not _WORD.match(text, at)


class WordFrequency:
    """Completes the current word by the most frequent words of the training text.

    Before a word has begun it offers the most frequent words of all.
    """

    def __init__(self, text: str) -> None:
        self._counts = Counter(_WORD.findall(text))
        self._by_start: dict[str, list[str]] = defaultdict(list)
        for word, _ in self._counts.most_common():
            for end in range(len(word) - 1):  # one more character is as quickly typed as taken
                best = self._by_start[word[:end]]
                if len(best) < 3:
                    best.append(word)

    def offers(self, typed: str, count: int) -> list[str]:
        """Returns continuations of two characters or more, the likeliest first."""
        start = _BEGUN.search(typed[-100:])
        begun = start[0] if start else ""
        return [word[len(begun) :] for word in self._by_start.get(begun, [])[:count]]


class Grams:
    """Counts of each run of 1 to 8 symbols of a text, as sorted 64-bit keys.

    Args:
        ids: of the text (N,), below 256.
        symbols: V.
        longest: the longest runs that are counted.
    """

    def __init__(self, ids: np.ndarray, symbols: int, longest: int = 8) -> None:
        if symbols > 1 << _BITS:
            raise SystemExit(f"expected a vocabulary of {1 << _BITS} symbols at most, got {symbols}")
        self.symbols = symbols
        self._keys, self._counts = [], []
        runs = np.zeros(len(ids), np.uint64)
        for length in range(1, longest + 1):
            runs = (runs[: len(ids) - length + 1] << np.uint64(_BITS)) | ids[length - 1 :].astype(np.uint64)
            keys, counts = np.unique(runs, return_counts=True)
            self._keys.append(keys)
            self._counts.append(counts)
        self._known: dict[bytes, np.ndarray] = {}

    def after(self, context: bytes) -> np.ndarray:
        """The probabilities (V,) after a context, interpolated from short to long as Witten and Bell do."""
        found = self._known.get(context)
        if found is None:
            shorter = self.after(context[1:]) if context else np.full(self.symbols, 1 / self.symbols)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[context] = self._interpolated(context, shorter)
        return found

    def _interpolated(self, context: bytes, shorter: np.ndarray) -> np.ndarray:
        """Interpolates the counts after a context with the distribution of the shorter one."""
        keys, counts = self._keys[len(context)], self._counts[len(context)]
        low = int.from_bytes(context, "big") << _BITS
        first, last = np.searchsorted(keys, np.array([low, low | 0xFF], np.uint64))
        last += last < len(keys) and int(keys[last]) == low | 0xFF
        if first == last:
            return shorter
        seen = counts[first:last]
        mixed = shorter * len(seen)
        mixed[(keys[first:last] & np.uint64(0xFF)).astype(np.intp)] += seen
        return mixed / (len(seen) + seen.sum())


class CharacterNgram:
    """An interpolated character model of order N, with the same search as the network.

    Args:
        grams: of the training text.
        vocabulary: of the grams.
        order: N; a context has N - 1 symbols.
        completing: what to look for, as of the network.
    """

    def __init__(self, grams: Grams, vocabulary: Vocabulary, order: int, completing: Completing) -> None:
        self._grams, self._vocabulary, self._order = grams, vocabulary, order
        self._completing = completing
        self._known: dict[bytes, list[str]] = {}

    def nats(self, text: str) -> float:
        """Returns the mean surprise of a text."""
        ids = self._vocabulary.encode(text).astype(np.uint8).tobytes()
        reach = self._order - 1
        chances = [self._grams.after(ids[max(0, i - reach) : i])[ids[i]] for i in range(len(ids))]
        return float(-np.log(chances).mean())

    def offers(self, typed: str, count: int) -> list[str]:
        """Returns continuations, the best first; cached, because they depend on the last symbols only."""
        ids = self._vocabulary.encode(typed[-self._order + 1 :]).astype(np.uint8)
        context = ids.tobytes()
        if context not in self._known:
            state: State = (torch.from_numpy(ids)[None],)
            place = Begun(state, _logits(self._grams.after(context)), self._completing)
            stepper: Any = _GramStepper(self._grams)
            (found,) = complete(stepper, self._vocabulary, [place])
            self._known[context] = [one.text for one in found]
        return self._known[context][:count]


class _GramStepper:
    """Replaces the `Stepper` of a network; its states are the last symbols (B, N - 1)."""

    def __init__(self, grams: Grams) -> None:
        self._grams = grams

    def step_rows(
        self, rows: list[torch.Tensor], lanes: np.ndarray, ids: np.ndarray, to: np.ndarray
    ) -> np.ndarray:
        """Returns log-probabilities (B, V), like the logits of `Stepper.step_rows`."""
        (table,) = rows
        contexts = table.numpy()[lanes]
        longer = np.concatenate([contexts, ids[:, None].astype(np.uint8)], axis=1)
        kept = np.ascontiguousarray(longer[:, longer.shape[1] - contexts.shape[1] :])
        table[torch.from_numpy(to)] = torch.from_numpy(kept)
        return np.stack([_logits(self._grams.after(row.tobytes())) for row in kept])


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Returns log-probabilities; the end of the text has none."""
    logits = np.log(probabilities)
    logits[END] = -np.inf
    return logits.astype(np.float32)
