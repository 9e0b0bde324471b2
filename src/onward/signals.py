"""Signals that end a run between two steps instead of in the midst of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_back_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came since the block began.

    The first of each is only noted, so that a step is whole before the run stops; a second acts at once.
    Python delivers signals to its main thread alone: in others nothing is held back, and the answer is no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        seen.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
