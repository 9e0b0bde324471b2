"""Keys that were typed in several sessions, answered together: one step feeds all, one search serves all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onward.inference.completion.options import Completion
from onward.inference.completion.search import complete
from onward.inference.session import feed_together
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.tokens import Expecting
from onward.serve.engine.typed_text import CompletionWanted, TypedText

EFFORT, LEAST_EFFORT = 64, 4
"""Prefixes that all keys answered together may look at, and that each may at least: a key that comes alone
has all 64, sixteen that come at once have four each. The likeliest are then followed to where they end."""

MANY = 4
"""Keys answered together from which on a key gets those of the completions found before it that go on with
it, if there are any: they are as right as they were, but there may be fewer."""


@dataclass(frozen=True)
class Keystroke:
    """An edit, or none, that is to be answered.

    Attributes:
        typed: what the model has read.
        text, cursor: as they are now.
        changed: characters at the beginning that are as they were.
        wish: what is asked for.
        is_wanted: whether no other edit has come since; else the answer has nothing in it.
    """

    typed: TypedText
    text: str
    cursor: int
    changed: int
    wish: CompletionWanted
    is_wanted: Callable[[], bool]


@dataclass(frozen=True)
class Answer:
    """What is expected at the cursor, as plain values, and how many symbols were read for it."""

    expected: dict[str, Any]
    read: int


class Keyboard:
    """Answers keys. Belongs to the model's thread.

    Args:
        trained: the model.
        stepper: of it.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper) -> None:
        self._vocabulary, self._stepper = trained.vocabulary, stepper
        self._expecting = Expecting(trained.vocabulary)

    def answer(self, keys: Sequence[Keystroke]) -> list[Answer | Exception]:
        """An answer to each, or why there is none."""
        read, failed = self._feed(keys)
        wanted = [i for i, key in enumerate(keys) if i not in failed and key.is_wanted()]
        looking = [i for i in wanted if keys[i].wish.completions]
        found = dict(zip(looking, self._complete([keys[i] for i in looking]), strict=True))
        answers: list[Answer | Exception] = []
        for i, key in enumerate(keys):
            if i in failed:
                answers.append(failed[i])
                continue
            expected: dict[str, Any] = {"completions": None, "next": None}
            if i in wanted:
                expected["completions"] = [
                    {"text": each.text, "probability": float(each.probability)} for each in found.get(i, ())
                ]
                expected["next"] = self._next(key)
            answers.append(Answer(expected, read.get(i, 0)))
        return answers

    def _feed(self, keys: Sequence[Keystroke]) -> tuple[dict[int, int], dict[int, Exception]]:
        """Feeds each session what is new; how many symbols, and what failed, by the number of the key."""
        read: dict[int, int] = {}
        failed: dict[int, Exception] = {}
        single: list[tuple[Keystroke, int]] = []
        for i, key in enumerate(keys):
            try:
                ids = key.typed.follow(key.text, key.cursor, key.changed)
                key.typed.narrow(int(ids[0]) if len(ids) == 1 else None)
                if len(ids) == 1 and key.typed.learner is None:
                    single.append((key, int(ids[0])))
                elif len(ids):
                    key.typed.session.feed(ids)
                read[i] = len(ids)
            except Exception as error:  # goes to the one who waits
                failed[i] = error
        if single:
            feed_together(
                self._stepper, [key.typed.session for key, _ in single], [symbol for _, symbol in single]
            )
        return read, failed

    def _complete(self, keys: Sequence[Keystroke]) -> list[Sequence[Completion]]:
        """What may follow each, looked for with an effort that they share."""
        effort = max(LEAST_EFFORT, EFFORT // max(1, len(keys)))
        found: dict[int, Sequence[Completion]] = {}
        if len(keys) >= MANY:
            left = {i: key.typed.remembered(key.wish) for i, key in enumerate(keys)}
            found = {i: each for i, each in left.items() if each and keys[i].typed.learner is None}
        shared = [i for i, key in enumerate(keys) if i not in found and key.typed.learner is None]
        places = [keys[i].typed.begun(keys[i].wish, effort) for i in shared]
        found |= zip(shared, complete(self._stepper, self._vocabulary, places), strict=True)
        for i, key in enumerate(keys):
            if i not in found:
                found[i] = key.typed.complete(key.wish, effort)
            key.typed.remember(key.wish, found[i])
        return [found[i] for i in range(len(keys))]

    def _next(self, key: Keystroke) -> list[dict[str, Any]]:
        if not key.wish.next:
            return []
        logits = key.typed.session.logits[0, 0].cpu().numpy()
        weights = np.exp(logits - logits.max())
        return self._expecting.of(weights / weights.sum(), key.wish.next)
