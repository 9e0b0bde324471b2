"""The options of a completion, and its result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict, overload

from onward.errors import InputError
from onward.inference.completion.boundaries import Until

FLOOR = 1e-3
"""The default of `CompleteOptions.floor` for words."""


@dataclass(frozen=True)
class Completion:
    """A continuation.

    Attributes:
        text: the continuation, without the symbol that ended it.
        probability: probability of exactly this text up to the boundary.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Completions(Sequence[Completion]):
    """Distinct continuations, the likeliest first.

    Attributes:
        best: the continuations.
        exact: whether no other continuation is likelier than the last one; if there are fewer than `n`,
            whether all continuations above the floor were found.
        steps: number of prefixes that the search expanded.
    """

    best: tuple[Completion, ...]
    exact: bool
    steps: int

    def __len__(self) -> int:
        return len(self.best)

    def __iter__(self) -> Iterator[Completion]:
        return iter(self.best)

    @overload
    def __getitem__(self, index: int) -> Completion: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Completion, ...]: ...
    def __getitem__(self, index: int | slice) -> Completion | tuple[Completion, ...]:
        return self.best[index]


@dataclass(frozen=True, kw_only=True)
class CompleteOptions:
    """How to complete a text.

    Attributes:
        n: maximum number of continuations.
        until: where continuations end.
        shortest: minimum number of characters of a continuation. 2 leaves out continuations that take as
            many keystrokes to accept as to type.
        floor: minimum probability of a continuation. None means `FLOOR` for words and 0 for lines and
            lengths.
        effort: maximum number of prefixes that the search for words expands.
        lanes: number of prefixes that are expanded in one step; for lines and lengths, the width of the beam.
            None means 8 for words and 32 for lines and lengths, or 2 n if that is more.

    Raises:
        InputError: a value is out of range.
    """

    n: int = 5
    until: Until = "word"
    shortest: int = 1
    floor: float | None = None
    effort: int = 64
    lanes: int | None = None

    def __post_init__(self) -> None:
        for name in ("n", "shortest", "effort", "lanes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"expected {name} of 1 or more, got {value}")
        if self.floor is not None and not 0 <= self.floor < 1:
            raise InputError(f"expected a floor from 0 to below 1, got {self.floor}")


class CompleteKeywords(TypedDict, total=False):
    """The options of `CompleteOptions` as keyword arguments."""

    n: int
    until: Until
    shortest: int
    floor: float | None
    effort: int
    lanes: int | None
