"""The processes that train one model together.

Process 0 leads: it decides, writes the files and reports. The others follow: they repeat each of its steps on
their own lanes. A group of one process needs no launcher; `onward.scale.torchrun` has larger ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from onward.errors import LostProcess, RunError


class StoppedByLeader(RunError):  # noqa: N818 - says what happened
    """Process 0 has ended the run, and reports why."""


@dataclass(frozen=True)
class Ended:
    """The last message of process 0: its result, or None if the run was stopped or has failed."""

    result: Any = None


@runtime_checkable
class Group(Protocol):
    """The processes of a run. All of them call the same methods in the same order.

    Each method raises LostProcess if another process has ended.

    Attributes:
        rank: number of this process; 0 leads.
        size: number of processes.
        has_launcher: whether a launcher started the processes. It repeats the signals that a terminal sends,
            and kills a process that ignores them.
    """

    rank: int
    size: int
    has_launcher: bool

    def broadcast(self, message: object) -> None:
        """Sends a message from process 0 to all others."""
        ...

    def receive(self) -> Any:
        """Returns the next message of process 0."""
        ...

    def barrier(self) -> None:
        """Returns when all processes have called it."""
        ...

    def all_reduce(self, tensors: list[Tensor]) -> None:
        """Replaces tensors by their sums over all processes, added in the order of `shards.add_in_tree`."""
        ...

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Returns the tensors (N, ...) of all processes, concatenated in the order of their ranks."""
        ...


class SingleProcess:
    """The group of a process that trains alone."""

    rank, size, has_launcher = 0, 1, False

    def broadcast(self, message: object) -> None:
        pass

    def receive(self) -> Any:
        raise AssertionError("a process that trains alone has no leader")

    def barrier(self) -> None:
        pass

    def all_reduce(self, tensors: list[Tensor]) -> None:
        pass

    def all_gather(self, tensor: Tensor) -> Tensor:
        return tensor


@contextmanager
def leading(group: Group) -> Iterator[None]:
    """Ends the run for all processes if an exception ends the block in process 0."""
    try:
        yield
    except BaseException:
        if group.rank == 0:
            with suppress(LostProcess):
                group.broadcast(Ended())
        raise
