"""Applies a job to many items, in processes of this machine.

The standard library's pool gives up if one of its processes is killed. These workers each have a pipe, so the
item of a process that ended is known, and is done again by another one.
"""

import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from onward.errors import InputError
from onward.scale.archives.engine import ATTEMPTS, Job, Outcome, lost, outcome_of

_METHOD = get_context("spawn")
"""How processes are started: not by a fork, which would copy the threads' locks of PyTorch."""


class Processes:
    """An engine of processes that end with the iteration.

    Args:
        count: number of processes.

    Raises:
        InputError: it is below 1.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise InputError(f"expected 1 worker or more, got {count}", hint="choose 1 or more")
        self._count = count

    def __call__(self, job: Job, items: Sequence[Any]) -> Iterator[Outcome]:
        """See `engine.ArchiveEngine`."""
        waiting, attempts = deque(range(len(items))), Counter[int]()
        workers: dict[Any, _Worker] = {}  # by their pipes
        try:
            for _ in range(min(self._count, len(items))):
                _start(job, workers)
            for worker in workers.values():
                worker.give(waiting, items)
            while busy := [pipe for pipe, worker in workers.items() if worker.item is not None]:
                for pipe in wait(busy):
                    worker = workers[pipe]
                    outcome = worker.take()
                    if outcome is None:
                        del workers[pipe]
                        outcome = _retry_or_fail(worker, items, attempts, waiting)
                        worker = _start(job, workers)
                    worker.give(waiting, items)
                    if outcome:
                        yield outcome
        finally:
            for worker in workers.values():
                worker.end()


class _Worker:
    """A process that does one item at a time.

    Attributes:
        item: number of the item that it is doing; None if it has none.
    """

    def __init__(self, job: Job) -> None:
        self.pipe, inner = Pipe()
        self._process = _METHOD.Process(target=_work, args=(inner, job), daemon=True)
        self._process.start()
        inner.close()  # so that the end of the process closes the pipe
        self.item: int | None = None

    def give(self, waiting: deque[int], items: Sequence[Any]) -> None:
        """Gives it the next item that is waiting, if there is one."""
        self.item = waiting.popleft() if waiting else None
        if self.item is not None:
            with suppress(OSError):  # it has ended, which the next `recv` reports
                self.pipe.send((self.item, items[self.item]))

    def take(self) -> Outcome | None:
        """Returns the outcome of its item; None if the process has ended before."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """Ends the process, and returns how it ended."""
        self.pipe.close()
        self._process.join(timeout=0.5)
        self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        names = {number.value: number.name for number in signal.Signals}  # not those of real time
        return f"signal {names.get(-code, -code)}"


def _start(job: Job, workers: dict[Any, _Worker]) -> _Worker:
    worker = _Worker(job)
    workers[worker.pipe] = worker
    return worker


def _retry_or_fail(
    worker: _Worker, items: Sequence[Any], attempts: Counter[int], waiting: deque[int]
) -> Outcome | None:
    """Queues the item of an ended process again, or returns an error as its outcome."""
    reason, number = worker.end(), worker.item
    assert number is not None
    attempts[number] += 1
    if attempts[number] == ATTEMPTS:
        return lost(number, items[number], reason)
    waiting.appendleft(number)
    return None


def _work(pipe: Connection, job: Job) -> None:
    """Does items until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and that ends this process
    while True:
        try:
            number, item = pipe.recv()
        except EOFError:
            return
        pipe.send(outcome_of(job, number, item))
