import os
import signal
import threading

import pytest

from onward.training.interruption import held_back_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted(number: int) -> None:
    before = signal.getsignal(number)
    with held_back_signals() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), number)
        assert interrupted()
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_a_second_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), held_back_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_left_alone() -> None:
    answers = []

    def work() -> None:
        with held_back_signals() as interrupted:
            answers.append(interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
