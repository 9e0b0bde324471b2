"""Jobs on many files, and what engines have in common.

An engine applies a job to each of many items, in processes of this machine (`processes`) or of a cluster
(`ray_tasks`). A job is a function of one item that can be pickled. A wrong item does not stop the others: its
outcome has the error.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from onward.errors import OnwardError, RunError

ATTEMPTS = 3
"""How often a job on an item is started, if its process ends each time."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job on one item.

    Attributes:
        number: number of the item, from 0.
        result: what the job returned.
        error: the error, if there was one.
    """

    number: int
    result: Any = None
    error: OnwardError | None = None


Job: TypeAlias = Callable[[Any], Any]
ArchiveEngine: TypeAlias = Callable[[Job, Sequence[Any]], Iterator[Outcome]]
"""Yields the outcome of a job on each of many items, as soon as it is known."""


def outcome_of(job: Job, number: int, item: Any) -> Outcome:
    """Does a job on an item. Errors about the item are part of the outcome; bugs are raised."""
    try:
        return Outcome(number, job(item))
    except OnwardError as error:
        return Outcome(number, error=error)
    except OSError as error:
        return Outcome(number, error=RunError(f"{error.strerror or error}: {error.filename or item}"))


def in_this_process(job: Job, items: Sequence[Any]) -> Iterator[Outcome]:
    """The engine of one process."""
    for number, item in enumerate(items):
        yield outcome_of(job, number, item)


def lost(number: int, item: Any, reason: str) -> Outcome:
    """Returns the outcome for an item whose processes ended before they were done."""
    message = f"the worker that read {item} ended {ATTEMPTS} times: {reason}"
    hint = "the system may have ended it because memory ran out: use fewer workers"
    return Outcome(number, error=RunError(message, hint=hint))


def in_order(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yields outcomes in the order of their items, each as soon as those before it are known."""
    waiting: dict[int, Outcome] = {}
    first = 0
    for outcome in outcomes:
        waiting[outcome.number] = outcome
        while first in waiting:
            yield waiting.pop(first)
            first += 1
