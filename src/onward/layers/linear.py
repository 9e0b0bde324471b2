"""The linear layer of onward's own layers."""

from torch import Tensor, nn

from onward.layers.kernels.products import linear


class Linear(nn.Linear):
    """`torch.nn.Linear`; its parameters, their names and its values are the same (see `kernels.products`)."""

    def forward(self, input: Tensor) -> Tensor:
        """y = x W^T + b: x (..., D), y (..., E)."""
        return linear(input, self.weight, self.bias)
