import os
import signal
import threading
from collections.abc import Iterator

import pytest

from onward.signals import held_back_signals


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Sets SIGINT as in the foreground: a shell that starts tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded(number: int) -> None:
    before = signal.getsignal(number)
    with held_back_signals() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_a_second_signal_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), held_back_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_all_signals_can_be_recorded() -> None:
    with held_back_signals(records_all=True) as interrupted:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_unaffected() -> None:
    answers = []

    def work() -> None:
        with held_back_signals() as interrupted:
            answers.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
