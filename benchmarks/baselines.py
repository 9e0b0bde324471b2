"""Completers without a network, to be measured beside the model: words by frequency, character n-grams."""

import re
from collections import Counter, defaultdict
from heapq import nlargest

_WORD = re.compile(r"\w+")
_BEGUN = re.compile(r"\w*\Z")
_WIDTH, _LONGEST = 8, 20  # of the beam of an n-gram, in prefixes and in characters


class WordFrequency:
    """The most frequent words of the training text that begin with what was typed of the word at hand.

    Before a word has begun it offers the most frequent words of all.
    """

    def __init__(self, text: str) -> None:
        self._counts = Counter(_WORD.findall(text))
        self._by_start: dict[str, list[str]] = defaultdict(list)
        for word, _ in self._counts.most_common():
            for end in range(len(word)):
                best = self._by_start[word[:end]]
                if len(best) < 3:
                    best.append(word)

    def offers(self, typed: str, count: int) -> list[str]:
        """Continuations of the text, the likeliest first."""
        start = _BEGUN.search(typed[-100:])
        begun = start[0] if start else ""
        return [word[len(begun) :] for word in self._by_start.get(begun, [])[:count]]


class CharacterNgram:
    """An interpolated character model of order N (Witten-Bell), completed to the end of a word by a beam."""

    def __init__(self, text: str, order: int) -> None:
        self._order = order
        self._counts: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(order)]
        for length, counts in enumerate(self._counts):
            for at in range(length, len(text)):
                counts[text[at - length : at]][text[at]] += 1
        self._totals = [{c: sum(n.values()) for c, n in counts.items()} for counts in self._counts]
        self._known: dict[str, dict[str, float]] = {}

    def distribution(self, context: str) -> dict[str, float]:
        """The probabilities of the next character."""
        context = context[-(self._order - 1) :] if self._order > 1 else ""
        if context in self._known:
            return self._known[context]
        chances: dict[str, float] = {}
        for length in range(min(len(context), self._order - 1) + 1):
            tail = context[len(context) - length :]
            seen = self._counts[length].get(tail)
            if seen is None:
                break
            kinds, total = len(seen), self._totals[length][tail]
            chances = {char: chance * kinds / (total + kinds) for char, chance in chances.items()}
            for char, number in seen.items():
                chances[char] = chances.get(char, 0.0) + number / (total + kinds)
        if len(self._known) < 1_000_000:
            self._known[context] = chances
        return chances

    def offers(self, typed: str, count: int) -> list[str]:
        """Continuations up to the end of a word, which may begin with marks, the likeliest first."""
        level, found = [(1.0, "", False)], Counter[str]()
        for _ in range(_LONGEST):
            longer = []
            bar = min((p for _, p in found.most_common(count)), default=0.0) if len(found) >= count else 0.0
            for probability, text, begun in level:
                for char, chance in self.distribution(typed[-self._order :] + text).items():
                    is_word = bool(_WORD.match(char))
                    if begun and not is_word:
                        found[text] += probability * chance  # type: ignore[assignment]
                    elif probability * chance > bar:
                        longer.append((probability * chance, text + char, is_word))
            level = nlargest(_WIDTH, longer)
            if not level:
                break
        return [text for text, _ in found.most_common(count)]
