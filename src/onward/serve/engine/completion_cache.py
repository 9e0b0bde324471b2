"""A cache of completions: after a keystroke, the completions that begin with the typed text remain."""

from collections.abc import Sequence

from onward.inference.completion.options import Completion
from onward.serve.engine.answer_options import AnswerOptions


class CompletionCache:
    """The completions at the cursor, kept while the user types on."""

    def __init__(self) -> None:
        self._options: AnswerOptions | None = None
        self._found: tuple[Completion, ...] = ()

    def put(self, options: AnswerOptions, found: Sequence[Completion]) -> None:
        """Keeps the completions at the cursor."""
        self._options, self._found = options, tuple(found)

    def get(self, options: AnswerOptions) -> tuple[Completion, ...]:
        """Returns the completions that are known for these options."""
        return self._found if self._options == options else ()

    @property
    def is_empty(self) -> bool:
        return not self._found

    def clear(self) -> None:
        self._options, self._found = None, ()

    def advance(self, text: str, probability: float) -> None:
        """Keeps the completions that begin with the text that was typed, without this text.

        Args:
            text: text of the symbol that was typed.
            probability: probability of this symbol; the probabilities of the completions are divided by it.
        """
        options = self._options
        if options is None or isinstance(options.until, int) or not text or probability <= 0.0:
            self.clear()
            return
        self._found = tuple(
            Completion(each.text[len(text) :], min(1.0, each.probability / probability))
            for each in self._found
            if each.text.startswith(text) and len(each.text) >= len(text) + options.shortest
        )
