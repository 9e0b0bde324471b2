import pytest
import torch
from tests.layers.cases import scattered
from torch import nn

from onward.layers.norm import RMSNorm


def test_rms_norm_equals_torch() -> None:
    layer, own = scattered(RMSNorm(6)), nn.RMSNorm(6, eps=1e-6)
    own.load_state_dict({"weight": layer.scale})
    x = torch.randn(5, 3, 6)
    torch.testing.assert_close(layer(x, ())[0], own(x))


@pytest.mark.parametrize("value", [0.0, 1e-12, 1e12])
def test_rms_norm_is_finite_for_tiny_and_huge_values(value: float) -> None:
    x = torch.full((2, 1, 4), value, requires_grad=True)
    y, _ = RMSNorm(4)(x, ())
    y.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()
