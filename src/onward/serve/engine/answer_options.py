"""The options of a typing session: which predictions it returns."""

from dataclasses import dataclass

from onward.inference.completion.boundaries import Until


@dataclass(frozen=True)
class AnswerOptions:
    """What the answer to a keystroke contains.

    Attributes:
        completions: the largest number of completions.
        until: where completions end.
        shortest: characters of the shortest completion; accepting a single character takes as long as typing
            it.
        next: number of likely next symbols.
    """

    completions: int = 3
    until: Until = "word"
    shortest: int = 2
    next: int = 10
