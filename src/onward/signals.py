"""Defers signals, so that they stop a run between two steps instead of within one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def held_back_signals(*, records_all: bool = False) -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether SIGINT or SIGTERM has arrived since the block started.

    The first signal of each kind is only recorded, so that the caller can finish its step. A second one has
    its usual effect at once. Python delivers signals only to its main thread, so in other threads the
    function always returns False.

    Args:
        records_all: whether later signals are only recorded too. A launcher such as torchrun repeats the
            Ctrl-C that the terminal has already sent to all processes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def record(number: int, frame: object) -> None:
        received.append(number)
        if not records_all:
            signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, record)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
