"""State as a value: nested tuples of tensors, each with the lanes as its leading axis.

Nothing here, and no layer, changes a state in place: whoever holds one may keep it, so a fork is an
assignment and a rollback is the use of an older value.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor

State: TypeAlias = tuple[Any, ...]
"""What a layer carries from one block to the next: tensors and states; `()` where it carries nothing."""


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> State:
    """The state whose tensors are `function` of the tensors of `state` (and of `others`, alike in form)."""
    return tuple(
        map_state(function, part, *(other[i] for other in others))
        if isinstance(part, tuple)
        else function(part, *(other[i] for other in others))
        for i, part in enumerate(state)
    )


def tensors_of(state: State) -> Iterator[Tensor]:
    """The tensors of a state, depth first."""
    for part in state:
        if isinstance(part, tuple):
            yield from tensors_of(part)
        else:
            yield part


def with_tensors(state: State, tensors: Iterator[Tensor]) -> State:
    """The state of the form of `state` that holds `tensors`, taken depth first: `tensors_of` undone."""
    return map_state(lambda _: next(tensors), state)


def detach(state: State) -> State:
    """The same values, cut from the graph: where truncated back-propagation stops."""
    return map_state(Tensor.detach, state)


def select_lanes(state: State, lanes: Tensor) -> State:
    """The state of the lanes whose indices are given, in that order; a lane may be taken many times."""
    return map_state(lambda part: part[lanes], state)


def join_lanes(states: list[State]) -> State:
    """One state whose lanes are those of `states`, one after another."""
    return map_state(lambda *parts: torch.cat(parts), states[0], *states[1:])
