"""The state of PyTorch's random generators."""

from contextlib import AbstractContextManager

import torch


def forked_random(device: torch.device) -> AbstractContextManager:
    """Returns a context that restores the state of the random generators at its end."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
