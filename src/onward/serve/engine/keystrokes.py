"""Keystrokes of several sessions, answered together: one step feeds all of them, one search serves all."""

from collections.abc import Sequence
from dataclasses import dataclass

from onward.inference.completion.options import Completion
from onward.inference.completion.search import complete
from onward.inference.session import feed_together
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.tokens import NextSymbol, SymbolRanking
from onward.serve.engine.typed_text import TypedText

TOTAL_EFFORT, LEAST_EFFORT = 64, 4
"""Number of prefixes that the search expands for all keystrokes of a batch together, and the minimum for each
keystroke: a single keystroke gets all 64, and sixteen keystrokes get four each. The likeliest prefixes are
then completed."""

CACHE_FROM = 4
"""In batches of this size or more, a keystroke gets the completions of the previous keystroke that still fit,
if there are any. Their probabilities are right, but there may be fewer than requested."""


@dataclass
class CancellationToken:
    """Tells the thread that computes an answer that the client no longer needs it.

    Attributes:
        is_cancelled: whether the answer is no longer needed, because a newer edit has arrived.
    """

    is_cancelled: bool = False


@dataclass(frozen=True)
class Keystroke:
    """A text, and what to predict at its cursor.

    Attributes:
        typed: the part of the text that the model has read.
        text, cursor: the text and the cursor after the keystroke.
        unchanged: length of the common beginning with the text at the last keystroke.
        options: what to predict.
        cancellation: if cancelled, the text is read, but nothing is predicted.
    """

    typed: TypedText
    text: str
    cursor: int
    unchanged: int
    options: AnswerOptions
    cancellation: CancellationToken


@dataclass(frozen=True)
class Prediction:
    """What may follow at the cursor.

    Attributes:
        completions: the likeliest first; None if the keystroke was cancelled.
        next: the likeliest next symbols; None if the keystroke was cancelled.
        symbols_read: number of symbols that the model read.
    """

    completions: Sequence[Completion] | None
    next: Sequence[NextSymbol] | None
    symbols_read: int


class Predictor:
    """Answers keystrokes. For the model's thread alone.

    Args:
        trained: the model.
        stepper: stepper of the model.
    """

    def __init__(self, trained: TrainedModel, stepper: Stepper) -> None:
        self._vocabulary, self._stepper = trained.vocabulary, stepper
        self._ranking = SymbolRanking(trained.vocabulary)

    def predict(self, keystrokes: Sequence[Keystroke]) -> list[Prediction | Exception]:
        """Returns a prediction for each keystroke, or the error that prevented it."""
        read = self._feed(keystrokes)
        predictions = [
            count if isinstance(count, Exception) else Prediction(None, None, count) for count in read
        ]
        wanted = [
            (i, count)
            for i, count in enumerate(read)
            if isinstance(count, int) and not keystrokes[i].cancellation.is_cancelled
        ]
        completions = self._complete([keystrokes[i] for i, _ in wanted])
        for (i, count), found in zip(wanted, completions, strict=True):
            predictions[i] = Prediction(found, self._next(keystrokes[i]), count)
        return predictions

    def _feed(self, keystrokes: Sequence[Keystroke]) -> list[int | Exception]:
        """Feeds each session its new text. Returns for each the number of symbols read, or an error."""
        read: list[int | Exception] = []
        single: list[tuple[TypedText, int]] = []
        for keystroke in keystrokes:
            typed = keystroke.typed
            try:
                ids = typed.rewind(keystroke.text, keystroke.cursor, keystroke.unchanged)
                typed.update_cache(ids)
                if len(ids) == 1 and not typed.adapts:
                    single.append((typed, int(ids[0])))
                elif len(ids):
                    typed.session.feed(ids)
                read.append(len(ids))
            except Exception as error:  # of this keystroke alone
                read.append(error)
        if single:
            sessions, symbols = [typed.session for typed, _ in single], [symbol for _, symbol in single]
            feed_together(self._stepper, sessions, symbols)
        return read

    def _complete(self, keystrokes: Sequence[Keystroke]) -> list[Sequence[Completion]]:
        """Returns the completions of each keystroke, from the cache or from a common search."""
        found: list[Sequence[Completion]] = [()] * len(keystrokes)
        searched = [i for i, keystroke in enumerate(keystrokes) if keystroke.options.completions]
        effort = max(LEAST_EFFORT, TOTAL_EFFORT // max(1, len(searched)))
        with_own_weights = [i for i in searched if keystrokes[i].typed.adapts]
        shared = [i for i in searched if not keystrokes[i].typed.adapts]
        if len(searched) >= CACHE_FROM:
            for i in shared:
                found[i] = keystrokes[i].typed.cache.get(keystrokes[i].options)
            shared = [i for i in shared if not found[i]]
        starts = [keystrokes[i].typed.completion_start(keystrokes[i].options, effort) for i in shared]
        for i, completions in zip(shared, complete(self._stepper, self._vocabulary, starts), strict=True):
            found[i] = completions
        for i in with_own_weights:
            found[i] = keystrokes[i].typed.complete(keystrokes[i].options, effort)
        for i in searched:
            keystrokes[i].typed.cache.put(keystrokes[i].options, found[i])
        return found

    def _next(self, keystroke: Keystroke) -> list[NextSymbol]:
        if not keystroke.options.next:
            return []
        return self._ranking.top(keystroke.typed.next_probabilities(), keystroke.options.next)
