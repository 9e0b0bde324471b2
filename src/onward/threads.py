"""Threads that sleep while they wait, and that work in a forked process.

By default, OpenMP's threads (PyTorch uses OpenMP) spin for milliseconds after each operation. With one other
busy process on two cores, training then took three to eighteen times as long; with threads that sleep, less
than twice as long (benchmarks/busy_machine.py).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from onward.errors import RunError

SPINS = 1000
"""Iterations that a thread of GNU's OpenMP spins before it sleeps, of 10 to 60 ns each: as long as waking it
takes. Small models would be a tenth slower without any."""


def configure_threads() -> None:
    """Makes OpenMP's threads sleep while they wait, and PyTorch work in forked processes.

    OpenMP reads these environment variables when PyTorch is loaded. So threads still spin if PyTorch was
    imported before onward, or if OMP_WAIT_POLICY is set to active. Child processes inherit the variables.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    """Makes PyTorch use one thread: OpenMP would wait for threads that a forked process does not have."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextmanager
def explain_fork_errors() -> Iterator[None]:
    """Turns the errors of PyTorch about forked processes into a RunError.

    PyTorch refuses to compute gradients, or to use a GPU, in a fork of a process in which it used a GPU.

    Raises:
        RunError: PyTorch refused to work in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if "fork" not in str(error):
            raise
        raise RunError(
            "PyTorch cannot train in this process, which was forked from one that used a GPU",
            hint='start processes by the method "spawn" of multiprocessing',
        ) from error
