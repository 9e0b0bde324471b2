"""Trains one model with several processes that torchrun, or another launcher of PyTorch, has started.

    torchrun --nproc-per-node 2 -m onward train nietzsche.txt -o nietzsche.onward

Every process runs the same command, and `onward.train` finds the group that it belongs to. The processes
exchange tensors by gloo on CPUs and by NCCL on GPUs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore  # pyright: ignore[reportPrivateImportUsage] - documented
from torch.distributed.rendezvous import rendezvous

from onward.errors import LostProcess
from onward.scale.torch_group import TorchGroup
from onward.training.group import Group, SingleProcess

FEWEST_SHARDS = 4
"""Shards of a run with fewer processes, so that 1, 2 and 4 processes train the same model."""

_LONGEST_WAIT = timedelta(hours=6)
"""Process 0 encodes the text and scores held-out text while the others wait. The end of a process is noticed
at once, not after this time."""


@contextmanager
def process_group() -> Iterator[Group]:
    """Yields the group of this process: that of its launcher, or a group of one process."""
    if dist.is_available() and dist.is_initialized():  # for instance by Ray Train
        yield TorchGroup()
        return
    if not _is_launched():
        yield SingleProcess()
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
        backend = "cpu:gloo,cuda:nccl"
    try:
        store, number, size = next(rendezvous("env://", timeout=_LONGEST_WAIT))
        store = PrefixStore(f"attempt {restarts()}", store)  # not the addresses of processes that have ended
        dist.init_process_group(backend, store=store, rank=number, world_size=size, timeout=_LONGEST_WAIT)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        message = f"the processes of this run cannot connect to each other: {reason}"
        raise LostProcess(message, reports=rank() == 0) from error
    try:
        yield TorchGroup(store)
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Returns the number that torchrun gave this process; 0 for a process that it did not start."""
    return int(os.environ["RANK"]) if _is_launched() else 0


def local_rank() -> int:
    """Returns the number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def default_shards(group: Group) -> int:
    """Returns the number of shards of a new run: 1 without a launcher, else a power of two.

    It is at least the number of processes.
    """
    return max(FEWEST_SHARDS, 1 << (group.size - 1).bit_length()) if group.has_launcher else 1


def restarts() -> int:
    """Returns how often torchrun has restarted the processes of this run."""
    return int(os.environ["TORCHELASTIC_RESTART_COUNT"]) if _is_launched() else 0


def _is_launched() -> bool:
    return dist.is_available() and dist.is_torchelastic_launched()
