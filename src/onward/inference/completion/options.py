"""Completions, and what can be asked of a search for them (`inference.complete`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict, overload

from onward.errors import InputError
from onward.inference.completion.boundaries import Until

FLOOR = 1e-3
"""Probability of the least likely word that is given, unless another is asked for."""


@dataclass(frozen=True)
class Completion:
    """A continuation.

    Attributes:
        text: what follows, without what ended it.
        probability: that exactly this follows, up to the boundary.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Completions(Sequence[Completion]):
    """Continuations, the likeliest first, no text twice.

    Attributes:
        best: the continuations.
        exact: whether it is certain that no other continuation is likelier than the last of these (and than
            the floor, if they are fewer than was asked for).
        steps: prefixes that were looked at.
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
        """One, or several as a tuple."""
        return self.best[index]


@dataclass(frozen=True, kw_only=True)
class Completing:
    """What to look for, and for how long.

    Attributes:
        n: how many continuations, at most.
        until: where they end.
        shortest: continuations of fewer characters are not given, and take no place of others. With 2 none is
            given that is as quickly typed as taken.
        floor: continuations less likely than this are not given; None is `FLOOR` for words, 0 for the others.
        effort: prefixes to look at, at most, where the search is best first.
        lanes: prefixes that advance at once, the width of a beam; None is 8 for words, 32 for the others
            (more where more than 16 are asked for).

    Raises:
        InputError: a number that is none of these.
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


class CompleteOptions(TypedDict, total=False):
    """What can be said of completing; see `Completing`."""

    n: int
    until: Until
    shortest: int
    floor: float | None
    effort: int
    lanes: int | None
