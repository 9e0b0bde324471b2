"""Examples and batches: tensors and nested tuples of tensors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from onward.errors import InputError

Nested: TypeAlias = Tensor | tuple[Any, ...]
"""A tensor, or a tuple of nested values."""


def nested(value: Any, name: str) -> Nested:
    """Converts lists to tuples, and numbers and arrays to tensors.

    Raises:
        InputError: the value holds anything else. The message names the source `name`.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple | list) and value:
        return tuple(nested(part, name) for part in value)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"expected tensors or tuples of tensors from {name}, got {type(value).__name__}",
            hint="convert its examples to (x, y) of tensors, arrays or numbers",
        ) from error


def leaves(value: Nested) -> list[Tensor]:
    """Returns the tensors in a nested value, depth first."""
    if isinstance(value, tuple):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def map_nested(function: Callable[..., Any], values: Sequence[Nested]) -> Any:
    """Applies a function to the corresponding tensors of several values with the same structure."""
    first = values[0]
    if isinstance(first, tuple):
        return tuple(map_nested(function, parts) for parts in zip(*values, strict=True))
    return function(values)


def form_of(batch: Nested) -> str:
    """Describes the examples of a batch: structure, types, shapes, and devices other than the CPU."""
    if isinstance(batch, tuple):
        return f"({', '.join(form_of(part) for part in batch)})"
    kind = str(batch.dtype).removeprefix("torch.")
    place = "" if batch.device.type == "cpu" else f" on {batch.device}"
    return f"{kind}{list(batch.shape[1:])}{place}"


def stack(examples: Sequence[Nested]) -> Nested:
    """Stacks examples with the same structure into a batch."""
    return map_nested(torch.stack, examples)


def join(batches: Sequence[Nested]) -> Nested:
    """Concatenates batches with the same structure."""
    return map_nested(torch.cat, batches)


def rows(batch: Nested, start: int, stop: int) -> Nested:
    """Returns the examples from start to stop."""
    return map_nested(lambda tensors: tensors[0][start:stop], [batch])


def size_of(batch: Nested, name: str) -> int:
    """Returns the number of examples in a batch.

    Raises:
        InputError: the tensors have different numbers of examples, or one is a single number.
    """
    sizes = {len(leaf) if leaf.ndim else -1 for leaf in leaves(batch)}
    if len(sizes) != 1 or -1 in sizes:
        shapes = ", ".join(str(list(leaf.shape)) for leaf in leaves(batch))
        raise InputError(
            f"expected tensors with the same number of examples in a batch of {name}, got shapes {shapes}",
            hint="use batches with the examples along the first axis, or a torch Dataset of single examples",
        )
    return sizes.pop()
