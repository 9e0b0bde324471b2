"""The processes of torch's default process group, which train one model."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage] - documented

from onward.errors import LostProcess
from onward.training.shards import add_in_tree


class TorchGroup:
    """A `Group` of `onward.training.group`.

    Args:
        store: torch's store, which outlives the processes; None if another program made the group.
    """

    has_launcher = True

    def __init__(self, store: Store | None = None) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._store = store

    def broadcast(self, message: object) -> None:
        self._exchange(dist.broadcast_object_list, [message], src=0, device=torch.device("cpu"))

    def receive(self) -> Any:
        received: list[Any] = [None]
        self._exchange(dist.broadcast_object_list, received, src=0, device=torch.device("cpu"))
        return received[0]

    def barrier(self) -> None:
        self._exchange(dist.all_reduce, torch.zeros(1))

    def all_reduce(self, tensors: list[Tensor]) -> None:
        """Each process adds one part of the tensors of all processes, and then gets the other sums."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        part = -(-flat.numel() // self.size)
        flat = torch.nn.functional.pad(flat, (0, part * self.size - flat.numel()))
        received = torch.empty_like(flat)
        self._exchange(dist.all_to_all_single, received, flat)
        parts = received.view(self.size, part)
        (total,) = add_in_tree(lambda number: [parts[number]], range(self.size))
        self._exchange(dist.all_gather, [*flat.split(part)], total)
        first = 0
        for tensor in tensors:
            tensor.copy_(flat[first : first + tensor.numel()].view_as(tensor))
            first += tensor.numel()

    def all_gather(self, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        self._exchange(dist.all_gather, parts, tensor.contiguous())
        return torch.cat(parts)

    def _exchange(self, collective: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls a collective operation of torch.

        Raises:
            LostProcess: another process has ended.
        """
        try:
            collective(*arguments, **options)
        except RuntimeError as error:
            raise LostProcess(
                f"one of the {self.size} processes of this run has ended", reports=self._is_first_to_report()
            ) from error

    def _is_first_to_report(self) -> bool:
        """Returns whether no other process has reported the end of a process."""
        if self._store is None:
            return self.rank == 0
        try:
            return self._store.add("onward/lost", 1) == 1
        except RuntimeError:  # the store was on the machine that was lost
            return True
