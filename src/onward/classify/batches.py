"""Readers: each reads one source of a mix in parts of any size, and restarts the source at its end."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from onward.classify.nested import Nested, form_of, nested, rows, size_of, stack
from onward.data.windows import shuffled
from onward.errors import InputError

ExampleSource: TypeAlias = Dataset[Any] | Iterable[Any] | Callable[[int], Iterable[Any]]
"""A torch data set of examples, an iterable of batches, or a function from the epoch to its batches."""

_CHUNK = 64
"""Number of examples to read at once."""


class Reader(ABC):
    """Reads a source from start to end, repeatedly.

    Attributes:
        name: name of the source, for error messages.
        size: number of examples in an epoch; None if it is not known in advance.
        epoch: number of completed epochs.
        offset: number of examples of this epoch that were taken.
    """

    def __init__(self, name: str, size: int | None) -> None:
        self.name, self.size = name, size
        self.epoch = self.offset = 0

    @abstractmethod
    def take(self, count: int) -> list[Nested]:
        """Returns the next `count` examples as one or more batches."""

    @abstractmethod
    def move(self, epoch: int, offset: int) -> None:
        """Moves to an earlier or later position."""


class ExampleReader(Reader):
    """Reads a data set whose examples can be indexed."""

    def __init__(self, name: str, data: Dataset[Any], seed: int | None) -> None:
        size = len(data)  # type: ignore[arg-type]
        super().__init__(name, size)
        if not size:
            raise _empty(name)
        self._data, self._seed = data, seed

    def take(self, count: int) -> list[Nested]:
        """Returns one batch for each epoch from which examples are taken."""
        parts, size = [], self.size or 0
        while count:
            stop = min(self.offset + count, size)
            parts.append(self._read(np.arange(self.offset, stop)))
            count -= stop - self.offset
            self.offset = stop
            if stop == size:
                self.epoch, self.offset = self.epoch + 1, 0
        return parts

    def move(self, epoch: int, offset: int) -> None:
        if not 0 <= offset < (self.size or 0) or epoch < 0:
            raise _wrong_position(self.name, epoch, offset)
        self.epoch, self.offset = epoch, offset

    def _read(self, places: np.ndarray) -> Nested:
        if self._seed is not None:
            places = shuffled(places, self.size or 0, self._seed, self.epoch)
        if isinstance(self._data, TensorDataset):  # faster than example by example
            chosen = torch.from_numpy(places)
            tensors: tuple[Tensor, ...] = self._data.tensors
            return tuple(tensor[chosen.to(tensor.device)] for tensor in tensors)
        return _stacked([nested(self._data[i], self.name) for i in places.tolist()], self.name)


class StreamReader(Reader):
    """Reads batches of any size from an iterable, or from a function of the epoch."""

    def __init__(self, name: str, start: Callable[[int], Iterator[Any]], size: int | None = None) -> None:
        super().__init__(name, size)
        self._start = start
        self._stream: Iterator[Any] | None = None
        self._left: Nested | None = None

    def take(self, count: int) -> list[Nested]:
        """Returns parts of the source's own batches."""
        parts = []
        while count:
            batch = self._batch()
            size = size_of(batch, self.name)
            taken = min(count, size)
            parts.append(rows(batch, 0, taken))
            self._left = rows(batch, taken, size) if taken < size else None
            self.offset += taken
            count -= taken
        return parts

    def move(self, epoch: int, offset: int) -> None:
        """Restarts the epoch and reads up to the offset."""
        self._stream, self._left = None, None
        self.epoch, self.offset = epoch, 0
        while self.epoch == epoch and self.offset < offset:
            self.take(min(_CHUNK, offset - self.offset))
        if (self.epoch, self.offset) != (epoch, offset):
            raise _wrong_position(self.name, epoch, offset)

    def _batch(self) -> Nested:
        """Returns the rest of the current batch, or the next batch that is not empty."""
        if self._left is not None:
            return self._left
        restarted = False
        while True:
            if self._stream is None:
                self._stream = self._start(self.epoch)
            for value in self._stream:
                batch = nested(value, self.name)
                if size_of(batch, self.name):
                    return batch
            if restarted or not self.offset:
                raise _empty(self.name)
            self.epoch, self.offset, self._stream = self.epoch + 1, 0, None
            restarted = True


def reader_of(name: str, source: ExampleSource, seed: int | None) -> Reader:
    """Returns a reader for a source. If there is a seed, data sets are shuffled.

    Raises:
        InputError: a source of this kind cannot be read.
    """
    if isinstance(source, IterableDataset):
        return StreamReader(name, lambda _: _in_batches(iter(source), name))
    if isinstance(source, Dataset):
        return ExampleReader(name, source, seed)
    ambiguous = isinstance(source, Tensor | tuple | dict | str | bytes)
    if isinstance(source, Iterable) and not ambiguous:
        return StreamReader(name, _Restarts(name, source), _size_of_list(name, source))
    if callable(source):
        return StreamReader(name, lambda epoch: iter(source(epoch)))
    raise InputError(
        f"expected {name} to be a torch Dataset or an iterable of batches, got {type(source).__name__}",
        hint="wrap tensors in TensorDataset(x, y)",
    )


class _Restarts:
    """Restarts an iterable for each epoch. An iterator can be started only once."""

    def __init__(self, name: str, source: Iterable[Any]) -> None:
        self._name, self._source, self._begun = name, source, False

    def __call__(self, epoch: int) -> Iterator[Any]:
        stream = iter(self._source)
        if self._begun and stream is self._source:
            raise InputError(
                f"{self._name} is a {type(self._source).__name__}, which can be read only once",
                hint="use a list, a Dataset, or a function that returns the batches of an epoch",
            )
        self._begun = True
        return stream


def _size_of_list(name: str, source: Iterable[Any]) -> int | None:
    """Returns the number of examples in a list of batches, or None if the source is not a list."""
    if not isinstance(source, list):
        return None
    return sum(size_of(nested(batch, name), name) for batch in source)


def _in_batches(examples: Iterator[Any], name: str) -> Iterator[Nested]:
    while chunk := list(islice(examples, _CHUNK)):
        yield _stacked([nested(example, name) for example in chunk], name)


def _stacked(examples: list[Nested], name: str) -> Nested:
    """Stacks examples into one batch.

    Raises:
        InputError: the examples differ in structure, shape or type.
    """
    expected = form_of(stack(examples[:1]))
    for example in examples:
        found = form_of(stack([example]))
        if found != expected:
            raise InputError(
                f"expected all examples of {name} to have one form, got {expected}, then {found}",
                hint="convert all examples to the same form, shape and type",
            )
    return stack(examples)


def _empty(name: str) -> InputError:
    return InputError(f"expected at least one example in {name}, but it is empty")


def _wrong_position(name: str, epoch: int, offset: int) -> InputError:
    return InputError(
        f"{name} has no example {offset} in epoch {epoch}: the position belongs to other sources",
        hint="use a position of a MixIterator with the same sources",
    )
