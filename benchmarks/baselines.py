"""Completers without a network, as baselines for the model: words by frequency, and character n-grams."""

import re
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch

from onward.data.vocabulary import END, Vocabulary
from onward.inference.completion.options import CompleteOptions
from onward.inference.completion.search import SearchStart, complete
from onward.layers.state import State
from onward.watch.scoring.ngram import NgramModel

_WORD = re.compile(r"\w+")
_BEGUN = re.compile(r"\w*\Z")
_MOST_KNOWN = 300_000  # maximum number of cached distributions


def ends_word(text: str, at: int) -> bool:
    """Returns whether a position of a text has no letter."""
    return not _WORD.match(text, at)


class WordFrequency:
    """Completes the current word by the most frequent words of the training text.

    Before the first letter of a word it offers the most frequent words.
    """

    def __init__(self, text: str) -> None:
        self._counts = Counter(_WORD.findall(text))
        self._by_start: dict[str, list[str]] = defaultdict(list)
        for word, _ in self._counts.most_common():
            for end in range(len(word) - 1):  # a single character is typed as quickly as accepted
                best = self._by_start[word[:end]]
                if len(best) < 3:
                    best.append(word)

    def offers(self, typed: str, count: int) -> list[str]:
        """Returns continuations of two characters or more, the likeliest first."""
        start = _BEGUN.search(typed[-100:])
        begun = start[0] if start else ""
        return [word[len(begun) :] for word in self._by_start.get(begun, [])[:count]]


class Grams:
    """An n-gram model of a text. It can learn from another text, and keeps the distributions it has computed.

    Args:
        model: the n-grams of the training text, of at most 256 symbols. It does not change.
    """

    def __init__(self, model: NgramModel) -> None:
        self._model = model
        self._learned: dict[bytes, np.ndarray] = {}  # for each context, the counts of its symbols (V,)
        self._known: dict[bytes, np.ndarray] = {}

    def after(self, context: bytes) -> np.ndarray:
        """Returns the probabilities (V,) after a context, given as one byte per symbol."""
        found = self._known.get(context)
        if found is None:
            symbols = self._model.symbols
            shorter = self.after(context[1:]) if context else np.full(symbols, 1 / symbols)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            learned = self._learned.get(context)
            if learned is None:
                found = self._model.refine(context, shorter)
            else:  # interpolated as in `NgramModel`
                counts = learned + self._counts(context)
                kinds = np.count_nonzero(counts)
                found = (counts + kinds * shorter) / (counts.sum() + kinds)
            self._known[context] = found
        return found

    def learn(self, context: bytes, symbol: int) -> None:
        """Counts a symbol after the context and after each of its ends."""
        for start in range(len(context) + 1):
            counts = self._learned.setdefault(context[start:], np.zeros(self._model.symbols, np.int64))
            counts[symbol] += 1
        self._known.clear()

    def _counts(self, context: bytes) -> np.ndarray:
        """Returns how often each symbol followed a context in the training text, (V,)."""
        symbols, table = self._model.symbols, self._model.tables[len(context)]
        code = 0
        for symbol in context:
            code = code * symbols + symbol
        first, last = np.searchsorted(table.codes, [code * symbols, (code + 1) * symbols])
        counts = np.zeros(symbols, np.int64)
        counts[table.codes[first:last] - code * symbols] = table.counts[first:last]
        return counts


def ngrams_of(ids: np.ndarray, symbols: int, longest: int = 8) -> NgramModel:
    """Returns the n-grams of a text (N,) of V symbols."""
    try:
        return NgramModel.of_text(ids, symbols, longest)
    except ValueError as error:
        raise SystemExit(str(error)) from error


class CharacterNgram:
    """An interpolated character model of order N, with the same search as the network.

    Args:
        grams: n-grams of the training text.
        vocabulary: vocabulary of the n-grams.
        order: N; a context has N - 1 symbols.
        options: options of completions, as for the network.
        learns: whether the n-grams learn from the typed text; then no other completer may use them.
    """

    def __init__(
        self,
        grams: Grams,
        vocabulary: Vocabulary,
        order: int,
        options: CompleteOptions,
        *,
        learns: bool = False,
    ) -> None:
        self._grams, self._vocabulary, self._order = grams, vocabulary, order
        self._options, self._learns, self._read = options, learns, 0
        self._known: dict[bytes, list[str]] = {}

    def nats(self, text: str) -> float:
        """Returns the mean surprise of a text."""
        ids = self._vocabulary.encode(text).astype(np.uint8).tobytes()
        reach = self._order - 1
        chances = [self._grams.after(ids[max(0, i - reach) : i])[ids[i]] for i in range(len(ids))]
        return float(-np.log(chances).mean())

    def offers(self, typed: str, count: int) -> list[str]:
        """Returns continuations, the best first; cached, because they depend on the last symbols only."""
        if self._learns and len(typed) > self._read:
            self._learn(typed)
        ids = self._vocabulary.encode(typed[-self._order + 1 :]).astype(np.uint8)
        context = ids.tobytes()
        if context not in self._known:
            state: State = (torch.from_numpy(ids)[None],)
            place = SearchStart(state, _logits(self._grams.after(context)), self._options)
            stepper: Any = _GramStepper(self._grams)
            (found,) = complete(stepper, self._vocabulary, [place])
            self._known[context] = [one.text for one in found]
        return self._known[context][:count]

    def _learn(self, typed: str) -> None:
        """Learns the symbols that were typed since the last call."""
        reach = self._order - 1
        ids = self._vocabulary.encode(typed[max(0, self._read - reach) :]).astype(np.uint8).tobytes()
        for at in range(len(ids) - len(typed) + self._read, len(ids)):
            self._grams.learn(ids[max(0, at - reach) : at], ids[at])
        self._read = len(typed)
        self._known.clear()


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
