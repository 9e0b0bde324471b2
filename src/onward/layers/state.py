"""States are values: nested tuples of tensors whose first axis is the lanes.

No function and no layer changes a state in place. So a caller can fork a state, or return to it, just by
keeping it.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor

State: TypeAlias = tuple[Any, ...]
"""The tensors and nested states that a layer passes from block to block; `()` for a stateless layer."""


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> State:
    """Applies a function to each tensor of a state, together with the corresponding tensors of `others`."""
    return tuple(
        map_state(function, part, *(other[i] for other in others))
        if isinstance(part, tuple)
        else function(part, *(other[i] for other in others))
        for i, part in enumerate(state)
    )


def tensors_of(state: State) -> Iterator[Tensor]:
    """Yields the tensors of a state, depth first."""
    for part in state:
        if isinstance(part, tuple):
            yield from tensors_of(part)
        else:
            yield part


def with_tensors(state: State, tensors: Iterator[Tensor]) -> State:
    """Returns a state with the same structure and other tensors: the inverse of `tensors_of`."""
    return map_state(lambda _: next(tensors), state)


def detach(state: State) -> State:
    """Detaches a state from the autograd graph, for truncated back-propagation."""
    return map_state(Tensor.detach, state)


def select_lanes(state: State, lanes: Tensor) -> State:
    """Returns the state of the lanes with the given indices (N,), in that order; lanes may repeat."""
    return map_state(lambda part: part[lanes], state)


def join_lanes(states: list[State]) -> State:
    """Concatenates states along their lanes."""
    return map_state(lambda *parts: torch.cat(parts), states[0], *states[1:])
