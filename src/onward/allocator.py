"""The C library's malloc, told to keep what is freed: a step asks for the same arrays as the one before.

By default malloc gives every large array back to the system and asks for it anew; the system then clears each
page at its first touch, thousands of them in a step (benchmarks/kept_memory.py says what that costs).
"""

import ctypes
import functools
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
"""Parameters of mallopt(3), glibc's malloc.h."""
_HUGE_PAGES = 14
"""MADV_HUGEPAGE of madvise(2)."""
_HUGE_PAGE = 1 << 21
"""Bytes of a huge page of x86-64; where they are larger the advice covers a little less."""
RESERVE = 1 << 30
"""Bytes of addresses that are asked for at once; memory is taken only where it is written."""


@functools.cache
def keep_freed_memory() -> None:
    """From now on freed memory is used again by this process, not given back to the system.

    For the whole process and the rest of its life: its memory stays at the most that it ever held. Where
    malloc is not glibc's, or the environment variable ONWARD_MALLOC is "default", nothing changes.
    """
    if os.environ.get("ONWARD_MALLOC") == "default":
        return
    try:
        library = ctypes.CDLL(None)
        mallopt, malloc, free, madvise = library.mallopt, library.malloc, library.free, library.madvise
    except (AttributeError, OSError, TypeError):
        return
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free.argtypes = [ctypes.c_void_p]
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    mallopt(_ARENA_MAX, 1)  # of the main thread and autograd's: what one frees, the other uses
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, _HUGE_PAGE << 6)
    start = malloc(RESERVE)
    if start:
        first = -(-start // _HUGE_PAGE) * _HUGE_PAGE
        madvise(first, start + RESERVE - first, _HUGE_PAGES)
        free(start)
