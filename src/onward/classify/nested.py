"""Samples and batches: tensors, and tuples of them, nested."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from onward.errors import InputError

Nested: TypeAlias = Tensor | tuple[Any, ...]
"""A tensor, or a tuple of what is nested itself."""


def nested(value: Any, name: str) -> Nested:
    """The value with lists as tuples, and numbers and arrays as tensors.

    Raises:
        InputError: it holds anything else; `name` says whose it is.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list) and value:
        return tuple(nested(part, name) for part in value)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name} gives {type(value).__name__}, expected tensors or tuples of tensors",
            hint="turn its samples into (x, y) of tensors, arrays or numbers",
        ) from error


def leaves(value: Nested) -> list[Tensor]:
    """The tensors, depth first."""
    if isinstance(value, tuple):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def map_nested(function: Callable[..., Any], values: Sequence[Nested]) -> Any:
    """What `function` makes of the values' tensors at each place, in the form that all of them have."""
    first = values[0]
    if isinstance(first, tuple):
        return tuple(map_nested(function, parts) for parts in zip(*values, strict=True))
    return function(values)


def form_of(batch: Nested) -> str:
    """What can be told apart in the samples of a batch: form, types, shapes, and devices but the CPU."""
    if isinstance(batch, tuple):
        return f"({', '.join(form_of(part) for part in batch)})"
    kind = str(batch.dtype).removeprefix("torch.")
    place = "" if batch.device.type == "cpu" else f" on {batch.device}"
    return f"{kind}{list(batch.shape[1:])}{place}"


def stack(samples: Sequence[Nested]) -> Nested:
    """One batch of samples of one form."""
    return map_nested(torch.stack, samples)


def join(batches: Sequence[Nested]) -> Nested:
    """One batch of batches of one form, in their order."""
    return map_nested(torch.cat, batches)


def rows(batch: Nested, start: int, stop: int) -> Nested:
    """The samples from start to stop."""
    return map_nested(lambda tensors: tensors[0][start:stop], [batch])


def size_of(batch: Nested, name: str) -> int:
    """How many samples a batch holds.

    Raises:
        InputError: its tensors do not agree, or one is a single number.
    """
    sizes = {len(leaf) if leaf.ndim else -1 for leaf in leaves(batch)}
    if len(sizes) != 1 or -1 in sizes:
        shapes = ", ".join(str(list(leaf.shape)) for leaf in leaves(batch))
        raise InputError(
            f"{name} gives a batch whose tensors differ in how many samples they hold: {shapes}",
            hint="give batches with the samples along the leading axis, or a torch Dataset of single samples",
        )
    return sizes.pop()
