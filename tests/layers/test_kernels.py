"""Every implementation of the kernels equals the reference: values and gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onward.layers.kernels import compiled, reference

SIZES = [(1, 1, 1), (1, 3, 5), (7, 3, 37), (130, 2, 64), (33, 1, 200)]
"""(T, B, D): one of everything, odd numbers, widths around the kernels' chunk of 64."""

TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 1.6e-2}
"""Of the largest value; bfloat16 has 8 bits, and the reference rounds between operations."""

Kernel = Callable[..., Tensor | tuple[Tensor, ...]]
Maker = Callable[[int, int, int, torch.dtype], list]


def activations(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape).to(dtype)


KERNELS: dict[str, tuple[Kernel, Kernel, Maker]] = {
    "gated_scan": (
        reference.gated_scan,
        compiled.GatedScan.apply,
        lambda t, b, d, dtype: [activations(t, b, 3 * d, dtype=dtype), torch.randn(b, d)],
    ),
    "gated_unit": (
        reference.gated_unit,
        compiled.GatedUnit.apply,
        lambda t, b, d, dtype: [activations(t, b, 2 * d, dtype=dtype)],
    ),
    "rms_norm": (
        reference.rms_norm,
        compiled.RMSNorm.apply,
        lambda t, b, d, dtype: [torch.randn(t, b, d), torch.randn(d), 1e-6, dtype],
    ),
    "causal_convolution": (
        reference.causal_convolution,
        compiled.CausalConvolution.apply,
        lambda t, b, d, dtype: [activations(t, b, d, dtype=dtype), torch.randn(b, 3, d), torch.randn(4, d)],
    ),
    "causal_convolution of the present": (
        reference.causal_convolution,
        compiled.CausalConvolution.apply,
        lambda t, b, d, dtype: [activations(t, b, d, dtype=dtype), torch.randn(b, 0, d), torch.randn(1, d)],
    ),
    "add_dropped": (
        reference.add_dropped,
        compiled.AddDropped.apply,
        lambda t, b, d, dtype: [torch.randn(t, b, d), activations(t, b, d, dtype=dtype), 0.3, 2**32 - 5],
    ),
    "add_dropped of nothing": (
        reference.add_dropped,
        compiled.AddDropped.apply,
        lambda t, b, d, dtype: [torch.randn(t, b, d), activations(t, b, d, dtype=dtype), 0.0, 0],
    ),
}


@pytest.fixture(autouse=True)
def library() -> None:
    if not compiled.available:
        pytest.skip("the C kernels were not built here")
    torch.manual_seed(0)


def results(kernel: Kernel, inputs: list, weights: list[Tensor] | None) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs, and the gradients of their weighted sum."""
    own = [x.detach().clone().requires_grad_() if isinstance(x, Tensor) else x for x in inputs]
    given = kernel(*own)
    outputs = list(given) if isinstance(given, tuple) else [given]
    weights = weights or [torch.ones_like(y) for y in outputs]
    sum((y.float() * w.float()).sum() for y, w in zip(outputs, weights, strict=True)).backward()
    return [y.detach() for y in outputs], [x.grad for x in own if isinstance(x, Tensor)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", KERNELS)
def test_compiled_equals_reference(name: str, size: tuple[int, int, int], dtype: torch.dtype) -> None:
    expected_of, found_of, make = KERNELS[name]
    inputs = make(*size, dtype)
    shapes, _ = results(expected_of, inputs, None)
    weights = [torch.randn_like(y) for y in shapes]
    for expected, found in zip(
        results(expected_of, inputs, weights), results(found_of, inputs, weights), strict=True
    ):
        for one, other in zip(expected, found, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            scale = max(1.0, float(one.float().abs().max())) if one.numel() else 1.0
            torch.testing.assert_close(
                other.float() / scale, one.float() / scale, atol=TOLERANCE[dtype], rtol=0
            )


def test_the_scan_carries_its_state_across_blocks() -> None:
    zvg, h = torch.randn(50, 2, 30), torch.randn(2, 10)
    whole, last = compiled.GatedScan.apply(zvg, h)
    first, between = compiled.GatedScan.apply(zvg[:17], h)
    second, end = compiled.GatedScan.apply(zvg[17:], between)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(end, last)


def test_a_long_scan_of_large_gates_stays_finite() -> None:
    zvg = torch.randn(5000, 1, 30) * 100
    zvg.requires_grad_()
    y, last = compiled.GatedScan.apply(zvg, torch.zeros(1, 10))
    (y.sum() + last.sum()).backward()
    assert zvg.grad is not None
    assert torch.isfinite(y).all() and torch.isfinite(zvg.grad).all()


def test_inputs_of_any_stride_are_taken() -> None:
    zvg, h = torch.randn(3, 20, 30).transpose(0, 1), torch.randn(10, 3).t()
    expected, found = reference.gated_scan(zvg, h), compiled.GatedScan.apply(zvg, h)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", KERNELS)
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    _, kernel, make = KERNELS[name]
    inputs = make(64, 5, 100, torch.float32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            outputs, gradients = results(kernel, inputs, None)
            found.append(outputs + gradients)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    x, branch = torch.zeros(100, 10, 100), torch.ones(100, 10, 100)
    y = compiled.AddDropped.apply(x, branch, probability, 7)
    assert float((y == 0).float().mean()) == pytest.approx(probability, abs=0.01)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)


def test_seeds_drop_differently() -> None:
    x, branch = torch.zeros(10, 10, 10), torch.ones(10, 10, 10)
    masks = [compiled.AddDropped.apply(x, branch, 0.5, seed) == 0 for seed in (1, 2)]
    assert 0.3 < float((masks[0] != masks[1]).float().mean()) < 0.7
