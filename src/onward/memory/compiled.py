"""The memory in C (memory.c)."""

import ctypes
from typing import Any, Self

import numpy as np

from onward.libraries import installed_library
from onward.memory.kernel import Kernel
from onward.memory.layout import BUCKET, FIRST_RATE, LAST_RATE, LOGITS, PLACE, SLOWING, Layout, aligned

_SIZES = ("symbols", "contexts", "symbol_bits", "buckets", "text", "heads")
_OFFSETS = ("text", "heads", "cells", "weights", "curves", "table")
_JOURNAL = ("journal", "journal_used", "journal_end", "undoable", "most_undoable", "undo_end")
_ARRAYS = ("kinds", "letters", "logits", "words", "old_words", "old_sizes", "slots")


class _Memory(ctypes.Structure):
    """The struct `Memory` in memory.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in (*_SIZES, *(f"{name}_at" for name in _OFFSETS), *_JOURNAL)),
        *((name, ctypes.c_double) for name in ("first_rate", "last_rate", "slowing")),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


_library: Any = installed_library("onward.memory._memory")
available = _library is not None
if available:
    _SIZE, _POINTER = ctypes.c_int64, ctypes.c_void_p
    _library.onward_memory_read.argtypes = (_POINTER, _SIZE, _POINTER, _POINTER, _POINTER)
    _library.onward_memory_count.argtypes = (_POINTER, _SIZE, _POINTER)
    _library.onward_memory_undo.argtypes = (_POINTER, _SIZE)
    _library.onward_memory_place.argtypes = (_POINTER, _POINTER)
    _library.onward_memory_advance.argtypes = (_POINTER, _SIZE, _POINTER, _POINTER)
    _library.onward_memory_refine.argtypes = (_POINTER, _SIZE, _POINTER, _POINTER)


class CompiledKernel(Kernel):
    """A memory in C. The arguments are those of `Kernel`."""

    def __init__(self, layout: Layout, undo: int) -> None:
        super().__init__(layout, undo)
        journal = layout.journal if undo else 0
        self._journal = {"old_words": np.zeros(journal, np.uint32), "old_sizes": np.zeros(undo, np.uint32)}
        self._slots = np.full(layout.symbols, -1, np.int32)
        self._memory = self._struct()

    @property
    def undoable(self) -> int:
        return self._memory.undoable

    def read(self, ids: np.ndarray, network: np.ndarray) -> np.ndarray:
        nats = np.empty(len(ids))
        ids, network = np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(network, np.float32)
        _library.onward_memory_read(
            ctypes.byref(self._memory), len(ids), ids.ctypes.data, network.ctypes.data, nats.ctypes.data
        )
        return nats

    def count(self, ids: np.ndarray) -> None:
        ids = np.ascontiguousarray(ids, np.int64)
        _library.onward_memory_count(ctypes.byref(self._memory), len(ids), ids.ctypes.data)

    def take_back(self, symbols: int) -> None:
        _library.onward_memory_undo(ctypes.byref(self._memory), symbols)

    def place(self) -> np.ndarray:
        place = np.empty(PLACE, np.uint32)
        _library.onward_memory_place(ctypes.byref(self._memory), place.ctypes.data)
        return place

    def advance(self, places: np.ndarray, ids: np.ndarray) -> None:
        _library.onward_memory_advance(
            ctypes.byref(self._memory), len(ids), places.ctypes.data, ids.ctypes.data
        )

    def refine(self, places: np.ndarray, probabilities: np.ndarray) -> None:
        _library.onward_memory_refine(
            ctypes.byref(self._memory), len(places), places.ctypes.data, probabilities.ctypes.data
        )

    def copy(self) -> Self:
        twin = object.__new__(type(self))
        twin.layout, twin.undo = self.layout, self.undo
        twin.words = aligned(len(self.words))
        twin.words[:] = self.words
        twin._journal = {name: array.copy() for name, array in self._journal.items()}
        twin._slots = self._slots.copy()
        twin._memory = twin._struct()
        for name in ("journal_used", "journal_end", "undoable", "undo_end"):
            setattr(twin._memory, name, getattr(self._memory, name))
        return twin

    def _struct(self) -> _Memory:
        layout = self.layout
        sizes = layout.sizes
        arrays = {
            "kinds": layout.kinds,
            "letters": layout.letters,
            "logits": LOGITS,
            "words": self.words,
            "slots": self._slots,
            **self._journal,
        }
        return _Memory(
            symbols=layout.symbols,
            contexts=len(layout.kinds),
            symbol_bits=layout.symbol_bits,
            buckets=sizes["table"] // BUCKET,
            text=sizes["text"],
            heads=sizes["heads"],
            **{f"{name}_at": layout.offsets[name] for name in _OFFSETS},
            journal=len(self._journal["old_words"]),
            most_undoable=self.undo,
            first_rate=FIRST_RATE,
            last_rate=LAST_RATE,
            slowing=SLOWING,
            **{name: array.ctypes.data for name, array in arrays.items()},
        )
