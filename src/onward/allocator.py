"""Makes the C library's malloc keep freed memory, since every training step allocates the same arrays.

By default malloc returns every large array to the system and requests it again. The system then clears each
page at its first access, thousands of pages in a step (benchmarks/kept_memory.py measures the cost).
"""

import ctypes
import functools
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
"""Parameters of mallopt(3), from glibc's malloc.h."""
_HUGE_PAGES = 14
"""The advice MADV_HUGEPAGE of madvise(2)."""
_HUGE_PAGE = 1 << 21
"""Bytes of a huge page on x86-64. Where they are larger, slightly less memory is backed by huge pages."""
RESERVE = 1 << 30
"""Bytes of address space to reserve. A page takes memory only once it is written."""


@functools.cache
def keep_freed_memory() -> None:
    """Makes this process reuse freed memory instead of returning it to the system.

    This makes training faster, but the memory of the process stays at its peak until the process ends. The
    commands that train call this function; a program that trains with the library may call it too. It does
    nothing if malloc is not glibc's, or if the environment variable ONWARD_MALLOC is "default".
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
    mallopt(_ARENA_MAX, 1)  # the main thread and autograd's thread share one heap
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, _HUGE_PAGE << 6)
    start = malloc(RESERVE)
    if start:
        first = -(-start // _HUGE_PAGE) * _HUGE_PAGE
        madvise(first, start + RESERVE - first, _HUGE_PAGES)
        free(start)
