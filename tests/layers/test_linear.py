from unittest import mock

import pytest
import torch

from onward.layers import linear
from onward.layers.linear import Linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 63), (1, 64), (7, 13), (64, 64), (0, 3)])
def test_values_equal_torch(shape: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    layer, x = Linear(40, 24, bias=bias), torch.randn(*shape, 40)
    with torch.no_grad():
        y = layer(x)
        truth = torch.nn.functional.linear(
            x.double(), layer.weight.double(), None if not bias else layer.bias.double()
        )
    assert y.shape == truth.shape and y.dtype == torch.float32
    torch.testing.assert_close(y.double(), truth, rtol=1e-5, atol=1e-5)


def test_gradients_equal_torch() -> None:
    torch.manual_seed(0)
    layer, x = Linear(40, 24), torch.randn(70, 40, requires_grad=True)
    ours = torch.autograd.grad(layer(x).square().sum(), (x, layer.weight, layer.bias))
    theirs = torch.autograd.grad(
        torch.nn.functional.linear(x, layer.weight, layer.bias).square().sum(), (x, layer.weight, layer.bias)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.skipif(linear.one_dnn is None, reason="this torch has no oneDNN")
@pytest.mark.parametrize(
    ("rows", "dtype", "gradients", "used"),
    [
        (64, torch.float32, False, True),
        (63, torch.float32, False, False),
        (64, torch.float64, False, False),
        (64, torch.float32, True, False),
    ],
)
def test_onednn_is_used_for_many_rows_without_gradients(
    rows: int, dtype: torch.dtype, gradients: bool, used: bool
) -> None:
    layer = Linear(8, 4).to(dtype)
    with (
        torch.set_grad_enabled(gradients),
        mock.patch.object(linear, "one_dnn", side_effect=linear.one_dnn) as called,
    ):
        layer(torch.randn(rows, 8, dtype=dtype))
    assert called.called == used


def test_autocast_decides_the_precision() -> None:
    layer = Linear(8, 4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(80, 8)).dtype == torch.bfloat16


@pytest.mark.skipif(linear.one_dnn is None, reason="this torch has no oneDNN")
def test_onednn_is_not_used_if_it_is_switched_off_or_has_changed() -> None:
    layer, x = Linear(8, 4), torch.ones(64, 8)
    with mock.patch.object(linear, "one_dnn", side_effect=RuntimeError), torch.no_grad():
        with torch.backends.mkldnn.flags(enabled=False):
            assert layer(x).shape == (64, 4)
        with pytest.raises(RuntimeError):
            layer(x)
    for changed in (mock.Mock(side_effect=TypeError), mock.Mock(return_value=torch.zeros(1, 1)), None):
        with mock.patch.object(torch.ops.mkldnn, "_linear_pointwise", changed):
            assert linear.find_one_dnn() is None
