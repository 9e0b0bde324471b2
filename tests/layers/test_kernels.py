"""Compares every implementation of the kernels with the reference in float64: values and gradients.

The reference itself is compared with the layers' oracles (test_conformance.py).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.implementations import (
    IN_C,
    KERNELS,
    SIZES,
    Implementation,
    activations,
    compiled_only,
    every_implementation,
    every_kernel,
    tolerance,
)
from torch import Tensor

from onward.layers import kernels
from onward.layers.kernels import compiled, functions, reference, triton_backend


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def always_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divides the work of all kernels among threads, however small it is."""
    monkeypatch.setattr(compiled, "SHARED", 0)


@pytest.fixture
def same_threads_after() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def interpreted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU, runs the tests of Triton in its interpreter, in place of the C kernels."""
    if "triton" in request.node.name and not torch.cuda.is_available():
        monkeypatch.setattr(functions, "compiled", triton_backend)


def in_float64(value: Any) -> Any:
    """Converts an argument to float64 if it is a tensor or a type."""
    if isinstance(value, torch.dtype):
        return torch.float64
    return value.double() if isinstance(value, Tensor) else value


def outputs_of(kernel: Callable[..., Any], inputs: list[Any]) -> list[Tensor]:
    given = kernel(*inputs)
    return list(given) if isinstance(given, tuple) else [given]


def results(kernel: Callable[..., Any], inputs: list[Any], weights: list[Tensor]) -> list[Tensor]:
    """Returns the outputs, and the gradients of their weighted sum."""
    own = [x.detach().clone().requires_grad_() if isinstance(x, Tensor) else x for x in inputs]
    outputs = outputs_of(kernel, own)
    total = torch.stack(
        [(y.double() * w.double()).sum() for y, w in zip(outputs, weights, strict=True)]
    ).sum()
    total.backward()
    gradients = [x.grad for x in own if isinstance(x, Tensor)]
    return [y.detach() for y in outputs] + [x for x in gradients if x is not None]


@every_implementation
@every_kernel
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_values_and_gradients_equal_the_reference_in_float64(
    implementation: Implementation, name: str, size: tuple[int, int, int], dtype: torch.dtype
) -> None:
    function, make = KERNELS[name]
    inputs = make(*size, dtype)
    truth, kernel = getattr(reference, function), getattr(implementation.functions, function)
    weights = [torch.randn_like(y) for y in outputs_of(kernel, inputs)]  # in the type of y, as gradients are
    expected = results(truth, [in_float64(x) for x in inputs], weights)
    found = results(kernel, inputs, weights)
    of_value, of_largest = tolerance(implementation, dtype)
    for one, other in zip(expected, found, strict=True):
        largest = max(1.0, float(one.abs().max())) if one.numel() else 1.0
        torch.testing.assert_close(other.double(), one, rtol=of_value, atol=of_largest * largest)


@every_implementation
@every_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_types_and_shapes_equal_the_reference(
    implementation: Implementation, name: str, dtype: torch.dtype
) -> None:
    function, make = KERNELS[name]
    inputs = make(3, 2, 5, dtype)
    truth, kernel = getattr(reference, function), getattr(implementation.functions, function)
    weights = [torch.ones_like(y) for y in outputs_of(truth, inputs)]
    for one, other in zip(results(truth, inputs, weights), results(kernel, inputs, weights), strict=True):
        assert (other.dtype, other.shape) == (one.dtype, one.shape)


@every_implementation
@pytest.mark.parametrize("used", ["y", "state"])
def test_a_scan_has_gradients_if_only_one_result_is_used(implementation: Implementation, used: str) -> None:
    zvg, h = torch.randn(5, 2, 9), torch.randn(2, 3)
    weights = [torch.randn(5, 2, 3), torch.randn(2, 3)]
    unused = 1 if used == "y" else 0
    expected = results(reference.gated_scan, [zvg, h], [w * (i != unused) for i, w in enumerate(weights)])
    own = zvg.clone().requires_grad_(), h.clone().requires_grad_()
    outputs = implementation.functions.gated_scan(*own)
    (outputs[1 - unused] * weights[1 - unused]).sum().backward()
    torch.testing.assert_close([x.grad for x in own], expected[2:])


@every_implementation
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_scan_carries_its_state_across_blocks(implementation: Implementation, dtype: torch.dtype) -> None:
    zvg, h = activations(50, 2, 30, dtype=dtype), torch.randn(2, 10)
    scan = implementation.functions.gated_scan
    whole, last = scan(zvg, h)
    first, between = scan(zvg[:17], h)
    second, end = scan(zvg[17:], between)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(end, last)


@every_implementation
def test_a_state_is_not_rounded_with_the_activations(implementation: Implementation) -> None:
    """A thousand steps of a thousandth each: rounded to bfloat16, the sum would stop growing."""
    zvg = torch.tensor([-6.9, 1.0, 1.0]).bfloat16().expand(1000, 1, 3)
    _, h = implementation.functions.gated_scan(zvg, torch.zeros(1, 1))
    _, exact = reference.gated_scan(zvg.double(), torch.zeros(1, 1, dtype=torch.float64))
    assert float(h) == pytest.approx(float(exact), rel=1e-5)


@every_implementation
def test_a_long_scan_of_large_gates_stays_finite(implementation: Implementation) -> None:
    zvg = (torch.randn(2000, 1, 30) * 100).requires_grad_()
    y, last = implementation.functions.gated_scan(zvg, torch.zeros(1, 10))
    (y.sum() + last.sum()).backward()
    assert zvg.grad is not None
    assert torch.isfinite(y).all() and torch.isfinite(zvg.grad).all()


@every_implementation
@every_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_nan_is_passed_on(implementation: Implementation, name: str, dtype: torch.dtype) -> None:
    """Otherwise a run that has diverged would continue unnoticed."""
    function, make = KERNELS[name]
    inputs = make(6, 2, 70, dtype)
    inputs[0][2, 1, 3] = torch.nan
    expected = outputs_of(getattr(reference, function), inputs)
    found = outputs_of(getattr(implementation.functions, function), inputs)
    assert any(one.isnan().any() for one in found)
    assert all(torch.equal(one.isnan(), other.isnan()) for one, other in zip(expected, found, strict=True))


@every_implementation
@every_kernel
def test_inputs_may_have_any_stride(implementation: Implementation, name: str) -> None:
    function, make = KERNELS[name]
    inputs = make(9, 3, 10, torch.float32)
    apart = [x.repeat_interleave(2, -1)[..., ::2] if isinstance(x, Tensor) else x for x in inputs]
    kernel = getattr(implementation.functions, function)
    torch.testing.assert_close(outputs_of(kernel, apart), outputs_of(kernel, inputs))


@every_implementation
@every_kernel
@pytest.mark.parametrize("size", [(64, 5, 100), (7, 3, 37)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.usefixtures("always_shared", "same_threads_after")
def test_results_do_not_depend_on_the_number_of_threads(
    implementation: Implementation, name: str, size: tuple[int, int, int], dtype: torch.dtype
) -> None:
    function, make = KERNELS[name]
    inputs = make(*size, dtype)
    kernel = getattr(implementation.functions, function)
    weights = [torch.ones_like(y) for y in outputs_of(kernel, inputs)]
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(results(kernel, inputs, weights))
    assert exactly(found[1], found[0]) and exactly(found[2], found[0])


@compiled_only
@pytest.mark.usefixtures("always_shared", "same_threads_after")
def test_kernels_may_be_called_from_several_threads_at_the_same_time() -> None:
    """Only one call at a time has helpers."""
    zvg, h = torch.randn(64, 5, 300), torch.randn(5, 100)
    expected = outputs_of(IN_C.gated_scan, [zvg, h])

    def scan(_: int) -> list[Tensor]:
        torch.set_num_threads(3)
        return outputs_of(IN_C.gated_scan, [zvg, h])

    with ThreadPoolExecutor(4) as pool:
        assert all(exactly(found, expected) for found in pool.map(scan, range(100)))


@every_implementation
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(
    implementation: Implementation, probability: float
) -> None:
    x, branch = torch.zeros(100, 10, 100), torch.ones(100, 10, 100)
    y = implementation.functions.add_dropped(x, branch, probability, 7)
    assert float((y == 0).float().mean()) == pytest.approx(probability, abs=0.01)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.03)


@every_implementation
@pytest.mark.parametrize("seed", [0, 1, 12345, 2**31, 2**32 - 1])
def test_dropout_follows_the_hash_of_the_position(implementation: Implementation, seed: int) -> None:
    bits = np.arange(600, dtype=np.uint32) ^ np.uint32(seed)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = (bits ^ (bits >> np.uint32(shift))) * np.uint32(factor)
    y = implementation.functions.add_dropped(torch.zeros(6, 10, 10), torch.ones(6, 10, 10), 0.25, seed)
    assert torch.equal(y.flatten() > 0, torch.from_numpy(bits >= 2**30))


def test_each_seed_drops_other_elements() -> None:
    x, branch = torch.zeros(10, 10, 10), torch.ones(10, 10, 10)
    masks = [kernels.add_dropped(x, branch, 0.5, seed) == 0 for seed in (1, 2)]
    assert 0.3 < float((masks[0] != masks[1]).float().mean()) < 0.7


@compiled_only
@every_kernel
def test_the_fastest_implementation_is_chosen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """C if the tensors allow it; the reference for float64, and without the compiled library."""
    function, make = KERNELS[name]
    inputs, chosen = make(33, 3, 70, torch.float32), getattr(kernels, function)
    assert exactly(outputs_of(chosen, inputs), outputs_of(getattr(IN_C, function), inputs))
    precise = [in_float64(x) for x in inputs]
    assert exactly(outputs_of(chosen, precise), outputs_of(getattr(reference, function), precise))
    monkeypatch.setattr(compiled, "available", False)
    assert exactly(outputs_of(chosen, inputs), outputs_of(getattr(reference, function), inputs))


def exactly(found: list[Tensor], expected: list[Tensor]) -> bool:
    """Returns whether two lists of tensors are equal bit for bit."""
    return all(
        torch.equal(one, other) and one.dtype == other.dtype
        for one, other in zip(found, expected, strict=True)
    )
