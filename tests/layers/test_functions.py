"""The kernels in C check shapes and devices first, since they would read beyond the end of an array."""

import pytest
import torch

from onward.layers import kernels
from onward.layers.kernels import compiled, functions

pytestmark = pytest.mark.skipif(not compiled.available, reason="the C kernels were not built here")

FUNCTIONS = {
    "gated_scan": functions.GatedScan.apply,
    "gated_unit": functions.GatedUnit.apply,
    "causal_convolution": functions.CausalConvolution.apply,
}


@pytest.mark.parametrize(
    ("name", "shapes", "expected"),
    [
        ("gated_scan", [(4, 3, 15), (2, 5)], r"zvg must be of shape \(4, 2, 15\), got \(4, 3, 15\)"),
        ("gated_scan", [(4, 2, 14), (2, 5)], r"zvg must be of shape \(4, 2, 15\)"),
        ("gated_unit", [(4, 2, 5)], r"ab must be of shape \(4, 2, 4\), got \(4, 2, 5\)"),
        ("causal_convolution", [(4, 3, 5), (2, 3, 5), (4, 5)], r"tail must be of shape \(3, 3, 5\)"),
        ("causal_convolution", [(4, 3, 5), (3, 2, 5), (4, 5)], r"tail must be of shape \(3, 3, 5\)"),
        ("causal_convolution", [(4, 3, 6), (3, 3, 6), (4, 5)], r"kernel must be of shape \(4, 6\)"),
    ],
)
def test_wrong_shapes_are_refused(name: str, shapes: list[tuple[int, ...]], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        FUNCTIONS[name](*(torch.zeros(shape) for shape in shapes))


def test_wrong_widths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scale must be of shape \(6,\), got \(5,\)"):
        functions.RMSNormFunction.apply(torch.zeros(3, 2, 6), torch.zeros(5), 1e-6, torch.float32)
    with pytest.raises(ValueError, match=r"branch must be of shape \(3, 2, 6\), got \(3, 1, 6\)"):
        functions.AddDropped.apply(torch.zeros(3, 2, 6), torch.zeros(3, 1, 6), 0.0, 0)


def test_tensors_on_another_device_are_refused() -> None:
    x, zvg = torch.randn(3, 2, 5), torch.randn(3, 2, 15)
    calls = (
        lambda: kernels.gated_scan(zvg, torch.zeros(2, 5, device="meta")),
        lambda: kernels.causal_convolution(x, torch.zeros(2, 3, 5, device="meta"), torch.randn(4, 5)),
        lambda: kernels.causal_convolution(x, torch.zeros(2, 3, 5), torch.zeros(4, 5, device="meta")),
        lambda: kernels.rms_norm(x, torch.ones(5, device="meta"), 1e-6, torch.float32),
        lambda: kernels.add_dropped(x, torch.zeros(3, 2, 5, device="meta"), 0.0, 0),
    )
    for call in calls:
        with pytest.raises(RuntimeError, match="device"):
            call()
