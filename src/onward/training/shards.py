"""Shards: the parts of the lanes whose gradients are computed one by one, and added in a fixed order.

Floating-point sums depend on their order. So a run with S shards adds their gradients in the order of a
binary tree, here for S = 8:

    ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))

Each process computes the shards of one subtree and adds their gradients. Then the processes add theirs. So
every number of processes that divides S gives the same gradients, to the bit. For this, dropout draws its
random numbers from a generator that is seeded for each step and shard.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from onward.data.hashing import mixed
from onward.data.lanes import Block
from onward.errors import RecipeError
from onward.layers.state import State, detach, join_lanes, map_state
from onward.model import LanguageModel
from onward.training.block_loss import block_loss, count_targets
from onward.training.group import Group
from onward.training.random_state import forked_random
from onward.training.recipe import Recipe


def add_in_tree(part: Callable[[int], list[Tensor]], numbers: range) -> list[Tensor]:
    """Returns the sum of parts, added in the order of a binary tree; the parts are overwritten.

    Args:
        part: returns the tensors of a part. It is called once for each number, in order.
        numbers: the numbers of the parts; how many must be a power of two.
    """
    if len(numbers) == 1:
        return part(numbers[0])
    half = len(numbers) // 2
    left, right = add_in_tree(part, numbers[:half]), add_in_tree(part, numbers[half:])
    for total, other in zip(left, right, strict=True):
        total.add_(other)
    return left


@contextmanager
def threads_of_shards(recipe: Recipe) -> Iterator[None]:
    """Computes a run with shards on one thread in each process, or on OMP_NUM_THREADS if this is set.

    Matrix products depend on the number of threads. PyTorch's default, the number of cores, would give other
    bytes on another machine. torchrun has the same default, except for a single process.
    """
    before = torch.get_num_threads()
    if recipe.shards > 1 and not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Shards:
    """The shards of a run that this process computes.

    Args:
        lanes: B, the number of lanes of the run.
        recipe: the recipe, with `shards` and `seed`.
        group: the processes of the run.

    Raises:
        RecipeError: the shards cannot be divided among the processes, or the lanes among the shards.

    Attributes:
        lanes: the lanes of this process.
    """

    def __init__(self, lanes: int, recipe: Recipe, group: Group) -> None:
        count = recipe.shards
        if count % group.size:
            raise RecipeError(
                f"expected a number of processes that divides the {count} shards of this run, "
                f"got {group.size}",
                hint="start 1, 2, 4, ... processes; a new run may have more shards (--set shards=N)",
            )
        if lanes % count:
            raise RecipeError(
                f"expected a multiple of {count} lanes, because the run has {count} shards, got {lanes}",
                hint="choose other --lanes, fewer shards (--set shards=N), or a longer text",
            )
        self._recipe, self._group = recipe, group
        self._width, each = lanes // count, count // group.size
        self._numbers = range(group.rank * each, (group.rank + 1) * each)
        self.lanes = range(self._numbers.start * self._width, self._numbers.stop * self._width)

    def own(self, state: State) -> State:
        """Returns the part of a state that belongs to this process."""
        return map_state(lambda part: part[self.lanes.start : self.lanes.stop], state)

    def joined(self, state: State) -> State:
        """Returns the state of all lanes, from the parts of all processes."""
        return map_state(self._group.all_gather, state)

    def backward(
        self, model: LanguageModel, block: Block, state: State, *, precision: str, step: int
    ) -> tuple[float, State]:
        """Sets the gradients of the mean loss of a block.

        Args:
            model: the model, without gradients.
            block: the block of all lanes.
            state: the state before the block, of this process's lanes.
            precision: precision of the matrix products, "bf16" or "fp32".
            step: the step, counted from 0.

        Returns:
            The loss in nats per symbol, and the state after the block of this process's lanes.
        """
        targets, parameters, after = count_targets(block), list(model.parameters()), list[State]()

        def compute(number: int) -> list[Tensor]:
            first = (number - self._numbers.start) * self._width
            before = map_state(lambda part: part[first : first + self._width], state)
            with self._seeded(number, step, model.device):
                loss, new = block_loss(model, self._shard(block, number), before, precision, targets=targets)
            after.append(detach(new))
            loss.backward()
            return [loss.detach(), *map(_take_gradient, parameters)]

        loss, *gradients = sums = add_in_tree(compute, self._numbers)
        self._group.all_reduce(sums)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return float(loss), join_lanes(after) if len(after) > 1 else after[0]

    def _shard(self, block: Block, number: int) -> Block:
        lanes = slice(number * self._width, (number + 1) * self._width)
        return Block(block.x[:, lanes], block.y[:, lanes], block.start)

    @contextmanager
    def _seeded(self, number: int, step: int, device: torch.device) -> Iterator[None]:
        """Seeds the random generators for a shard. A run without shards draws from one generator."""
        if self._recipe.shards == 1:
            yield
            return
        with forked_random(device):
            torch.manual_seed(int(mixed(np.array([number]), self._recipe.seed, step)[0]))
            yield


def _take_gradient(parameter: Tensor) -> Tensor:
    gradient, parameter.grad = parameter.grad, None
    assert gradient is not None  # every weight has an effect on the loss
    return gradient
