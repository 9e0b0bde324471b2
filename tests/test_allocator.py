"""Freed memory is kept, so allocating the same array again causes no page faults."""

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


def faults(mode: str, malloc: str = "") -> int:
    """Returns the page faults of a process that fills and frees the same arrays again and again."""
    environment = os.environ | {"ONWARD_MALLOC": malloc}
    command = [sys.executable, "-c", PROGRAM, mode]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return int(done.stdout)


@glibc
def test_repeated_allocations_cause_no_page_faults() -> None:
    assert faults("kept") < 100 < faults("returned")


@glibc
def test_an_environment_variable_keeps_the_default_malloc() -> None:
    assert faults("kept", "default") > 100
