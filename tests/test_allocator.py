"""Freed memory is kept: an array that is asked for again costs no page faults."""

import ctypes
import os
import subprocess
import sys

import pytest

ROUNDS = 10
ARRAY_BYTES = 40 << 20
PROGRAM = f"""
import resource, sys
import numpy as np
from onward.allocator import keep_freed_memory

def fill():
    arrays = [np.empty({ARRAY_BYTES}, np.uint8) for _ in range(3)]
    for array in arrays:
        array.fill(1)

if sys.argv[1] == "kept":
    keep_freed_memory()
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="malloc is not glibc's")


def faults(way: str, wish: str = "") -> int:
    """Page faults of a process of its own that fills and frees the same arrays again and again."""
    surroundings = os.environ | {"ONWARD_MALLOC": wish}
    command = [sys.executable, "-c", PROGRAM, way]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=surroundings)
    return int(done.stdout)


@glibc
def test_arrays_that_are_asked_for_again_cost_no_page_faults() -> None:
    assert faults("kept") < 100 < faults("given back")


@glibc
def test_who_wants_it_keeps_the_malloc_of_the_system() -> None:
    assert faults("kept", "default") > 100
