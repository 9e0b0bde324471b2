"""A running mean of the weights, which often generalises better than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The exponential mean of a model's weights over its steps (Polyak averaging).

        m_t = sum_i d^(t-i) w_i / sum_i d^(t-i),  i = 1 ... t

    The division takes the place of a start value, as in Adam, so the mean is unbiased from the first step on.

    Args:
        model: whose weights are averaged.
        decay: d, the same at every step; 0 keeps no mean, and `in_place_of_weights` then changes nothing.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._weights = dict(model.named_parameters()) if decay else {}
        self._means = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights after step t, counted from 1, into the mean."""
        if self._means:
            share = (1 - self._decay) / (1 - self._decay**step)
            for name, weight in self._weights.items():
                self._means[name].lerp_(weight, share)

    @contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Within the block the model's weights are their means."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def tensors(self) -> dict[str, Tensor]:
        """The means by the names of the weights; the tensors are not copied."""
        return dict(self._means)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes to what `tensors` gave; the tensors are copied."""
        for name, mean in self._means.items():
            mean.copy_(tensors[name])

    def _exchange(self) -> None:
        for name, weight in self._weights.items():
            weight.data, self._means[name] = self._means[name], weight.data
