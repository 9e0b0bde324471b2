"""Bounds the size of each answer that lists symbols, and the number of large answers at once."""

from contextlib import AbstractContextManager, nullcontext

from starlette.types import Scope

from onward.serve.http.clients import client_of
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.slots import Slots


class AnswerSizes:
    """Refuses an answer that is too large, or a large one while too many are in progress.

    The size of an answer is the number of symbols that it lists, with their alternatives.

    Args:
        limits: the limits of answers.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._slots = Slots(limits.large_answers, "large answers are in progress", shared=True)

    def check(self, symbols: int, alternatives: int, param: str, hint: str) -> int:
        """Returns the size of an answer.

        Args:
            symbols: number of symbols that it lists.
            alternatives: number of alternatives that it lists with each symbol.
            param: the field that makes it large.
            hint: how to get a smaller one.

        Raises:
            ApiError: 413, the answer would be too large.
        """
        size = symbols * (alternatives + 1)
        if size > self._limits.answer_symbols:
            message = (
                f"expected an answer of at most {self._limits.answer_symbols:,} symbols and alternatives, "
                f"got {size:,} ({symbols:,} symbols, each with {alternatives} alternatives)"
            )
            raise ApiError(413, "too_large", message, param=param, hint=hint)
        return size

    def slot(self, size: int, scope: Scope) -> AbstractContextManager[None]:
        """Takes a slot for a large answer until the block ends. Small answers need none.

        Args:
            size: of the answer.
            scope: of the request.

        Raises:
            ApiError: 429, too many large answers are in progress.
        """
        is_large = size > self._limits.large_answer_symbols
        return self._slots.take(client_of(scope)) if is_large else nullcontext()
