"""Tests the conventions in onward/layers/base.py on every layer in `LAYERS`."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from tests.layers.cases import (
    LAYERS,
    PRECISE,
    assert_parity,
    close,
    drawn,
    gradients_of,
    leaves,
    states_close,
    weighted_sum,
    weights_of,
)
from torch import Tensor

from onward.layers import gated_linear, gru, lstm, norm, simple, stack
from onward.layers.base import LARGEST, Layer
from onward.layers.state import State, join_lanes, map_state, select_lanes, tensors_of, with_tensors

every_layer = pytest.mark.parametrize("name", LAYERS)
every_type = pytest.mark.parametrize("dtype", PRECISE, ids=str)
stateful = [name for name, case in LAYERS.items() if list(tensors_of(case.make().initial_state(1)))]


def identical(one: State, other: State) -> bool:
    """Returns whether states, or pairs of output and state, are equal bit for bit."""
    pairs = zip(tensors_of(one), tensors_of(other), strict=True)
    return all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_every_layer_is_in_the_list() -> None:
    modules = [gated_linear, gru, lstm, norm, simple, stack]
    defined = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Layer) and thing.__module__ == module.__name__
    }
    assert defined == {type(case.make()) for case in LAYERS.values()}
    assert all(not layer.__subclasses__() for layer in defined), "layers are final"


@every_layer
@every_type
@pytest.mark.parametrize(("steps", "lanes"), [(1, 1), (2, 3), (9, 2)])
def test_values_and_gradients_equal_the_oracle(name: str, dtype: torch.dtype, steps: int, lanes: int) -> None:
    layer = LAYERS[name].build(dtype)
    assert_parity(layer, LAYERS[name].oracle(weights_of(layer)), steps, lanes, dtype)


@every_layer
def test_gradients_equal_finite_differences(name: str) -> None:
    layer = LAYERS[name].build()
    x, state = leaves(*drawn(layer, 3, 2))
    names = [key for key, _ in layer.named_parameters()]
    weights = [weight.detach().clone().requires_grad_() for weight in layer.parameters()]
    carried = list(tensors_of(state))

    def flat(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        before = with_tensors(state, iter(rest[: len(carried)]))
        values = dict(zip(names, rest[len(carried) :], strict=True))
        y, after = torch.func.functional_call(layer, values, (x, before))
        return y, *tensors_of(after)

    assert torch.autograd.gradcheck(flat, (x, *carried, *weights), fast_mode=True)


@every_layer
@every_type
@settings(max_examples=8, deadline=None)
@given(cut=st.lists(st.integers(1, 6), min_size=1, max_size=5), lanes=st.integers(1, 4))
def test_any_cut_into_blocks_equals_one_pass(
    name: str, dtype: torch.dtype, cut: list[int], lanes: int
) -> None:
    layer, tolerance = LAYERS[name].build(dtype), PRECISE[dtype]
    x, state = drawn(layer, sum(cut), lanes, dtype)
    found = []
    for blocks in ([sum(cut)], cut):
        layer.zero_grad()
        own_x, own_state = leaves(x, state)
        pieces, carried = [], own_state
        for block in own_x.split(blocks):
            y, carried = layer(block, carried)
            pieces.append(y)
        y = torch.cat(pieces)
        weights = torch.ones_like(y).cumsum(0), map_state(torch.ones_like, carried)
        weighted_sum(y, carried, weights).backward()
        gradients = [own_x.grad, *(part.grad for part in tensors_of(own_state))]
        found.append((y, carried, [*gradients, *(gradient for _, gradient in gradients_of(layer))]))
    (whole, last, gradients), (joined, end, own_gradients) = found
    close(joined, whole, tolerance)
    states_close(end, last, tolerance)
    for one, other in zip(own_gradients, gradients, strict=True):
        close(one, other, tolerance)


@every_layer
@every_type
def test_lanes_are_independent(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name].build(dtype)
    x, state = drawn(layer, 7, 4, dtype)
    y, after = layer(x, state)
    other_x, other_state = drawn(layer, 7, 4, dtype, seed=5)
    mixed_x = torch.cat([other_x[:, :2], x[:, 2:3], other_x[:, 3:]], dim=1)
    mixed_state = map_state(lambda new, old: torch.cat([new[:2], old[2:3], new[3:]]), other_state, state)
    z, mixed_after = layer(mixed_x, mixed_state)
    one = torch.tensor([2])
    assert identical((z[:, 2], select_lanes(mixed_after, one)), (y[:, 2], select_lanes(after, one)))
    assert not torch.equal(z[:, 1], y[:, 1])


@every_layer
@every_type
def test_lanes_can_be_selected_and_joined_at_any_time(name: str, dtype: torch.dtype) -> None:
    layer, tolerance = LAYERS[name].build(dtype), PRECISE[dtype]
    x, state = drawn(layer, 6, 3, dtype)
    y, after = layer(x, state)
    alone = [layer(x[:, i : i + 1], select_lanes(state, torch.tensor([i]))) for i in range(3)]
    close(torch.cat([own for own, _ in alone], dim=1), y, tolerance)
    states_close(join_lanes([own for _, own in alone]), after, tolerance)
    order = torch.tensor([2, 0, 2, 2, 1])
    z, picked = layer(x[:, order], select_lanes(state, order))
    close(z, y[:, order], tolerance)
    states_close(picked, select_lanes(after, order), tolerance)


@every_layer
@every_type
def test_the_future_does_not_change_the_past(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name].build(dtype)
    x, state = drawn(layer, 9, 2, dtype)
    y, _ = layer(x, state)
    for t in (1, 4, 8):
        z, _ = layer(torch.cat([x[:t], torch.full_like(x[t:], 7.0)]), state)
        assert torch.equal(z[:t], y[:t])
        assert not torch.equal(z[t], y[t])


@pytest.mark.parametrize("name", stateful)
def test_the_past_changes_the_future(name: str) -> None:
    layer = LAYERS[name].build()
    x, state = drawn(layer, 5, 2)
    y, after = layer(x, state)
    for changed in (layer(torch.cat([x[:1] + 1, x[1:]]), state), layer(x, layer.initial_state(2))):
        assert not torch.equal(changed[0][-1], y[-1])
        assert not identical(changed[1], after)


@every_layer
@every_type
def test_a_state_can_be_forked_and_reused(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name].build(dtype)
    first, start = drawn(layer, 5, 2, dtype)
    second, third = drawn(layer, 1, 2, dtype, seed=3)[0], drawn(layer, 6, 2, dtype, seed=4)[0]
    inputs = first.clone(), second.clone(), third.clone()
    _, state = layer(first, start)
    kept = map_state(torch.clone, state)
    results = [layer(second, state), layer(third, state), layer(second, state)]
    assert identical(state, kept)
    assert identical(results[0], results[2])
    assert all(torch.equal(a, b) for a, b in zip((first, second, third), inputs, strict=True))
    first.fill_(9.0)  # changes a state that shares memory with its input
    assert identical(state, kept)


@every_layer
@every_type
def test_the_initial_state_is_zeros_with_lanes_first(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name].build(dtype)
    for lanes in (1, 5):
        for part in tensors_of(layer.initial_state(lanes)):
            assert part.shape[0] == lanes
            assert part.dtype == dtype
            assert not part.requires_grad
            assert not part.any()


@every_layer
@every_type
def test_shapes_and_types_are_kept(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name].build(dtype)
    x, state = drawn(layer, 3, 2, dtype)
    y, after = layer(x, state)
    assert y.shape == (3, 2, layer.width_out)
    assert y.dtype == x.dtype
    for before, now in zip(tensors_of(state), tensors_of(after), strict=True):
        assert (now.shape, now.dtype) == (before.shape, before.dtype)


@every_layer
@every_type
def test_the_order_in_memory_does_not_matter(name: str, dtype: torch.dtype) -> None:
    layer = LAYERS[name].build(dtype)
    x, state = drawn(layer, 5, 3, dtype)
    lane_major = x.transpose(0, 1).contiguous().transpose(0, 1)
    strided = map_state(lambda part: part.repeat_interleave(2, dim=-1)[..., ::2], state)
    (y, after), (expected, expected_after) = layer(lane_major, strided), layer(x, state)
    close(y, expected, PRECISE[dtype])
    states_close(after, expected_after, PRECISE[dtype])


@every_layer
def test_two_thousand_steps_stay_finite(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name].make().eval()
    x, state = leaves(torch.randn(2000, 2, layer.width_in) * 3, layer.initial_state(2))
    y, after = layer(x, state)
    (y.sum() + sum(part.sum() for part in tensors_of(after))).backward()
    gradients = [gradient for _, gradient in gradients_of(layer)]
    assert x.grad is not None
    assert all(torch.isfinite(part).all() for part in (y, *tensors_of(after), x.grad, *gradients))


@every_layer
def test_bfloat16_stays_close_to_float32(name: str) -> None:
    layer = LAYERS[name].build(torch.float32)
    inputs = drawn(layer, 12, 3, torch.float32)
    found = []
    for enabled in (False, True):
        layer.zero_grad()
        x, state = leaves(*inputs)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y, after = layer(x, state)
        assert all(part.dtype == torch.float32 for part in tensors_of(after))
        (y.float().square().sum() + sum(part.square().sum() for part in tensors_of(after))).backward()
        gradients = [x.grad, *(part.grad for part in tensors_of(state))]
        found.append([y, *tensors_of(after), *gradients, *(gradient for _, gradient in gradients_of(layer))])
    for exact, rounded in zip(*found, strict=True):
        assert (rounded.float() - exact).norm() <= 0.02 * exact.norm()


@every_layer
@every_type
def test_weights_saved_and_loaded_give_the_same_bits(name: str, dtype: torch.dtype) -> None:
    layer, other = LAYERS[name].build(dtype), LAYERS[name].make().to(dtype).eval()
    x, state = drawn(layer, 5, 2, dtype)
    other.load_state_dict(load(save({key: value.contiguous() for key, value in layer.state_dict().items()})))
    assert identical(other(x, state), layer(x, state))
    assert identical(other(x, state), copy.deepcopy(layer)(x, state))


@every_layer
def test_training_and_evaluation_agree_without_dropout(name: str) -> None:
    layer = LAYERS[name].build()
    x, state = drawn(layer, 4, 2)
    random = (stack.Dropout, stack.Residual)
    if any(isinstance(module, random) for module in layer.modules()):
        with torch.no_grad():
            used, trained = layer(x, state), layer.train()(x, state)
        assert not torch.equal(used[0], trained[0])
    else:
        assert identical(layer(x, state), layer.train()(x, state))


@every_layer
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3, 1e8, 1e16, 1e30])
def test_no_output_exceeds_the_bound(name: str, scale: float) -> None:
    layer = LAYERS[name].build(torch.float32)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(scale)
        x, _ = drawn(layer, 40, 3, torch.float32)
        for size in (1.0, 1e10):
            y, _ = layer(x.sign() * size, layer.initial_state(3))
            bound = layer.largest_output(size)
            assert not bound < float(y.abs().max()) * (1 - 1e-5)
            assert math.isinf(bound) or (bound <= LARGEST and bool(y.isfinite().all()))


@every_layer
def test_a_layer_that_could_overflow_has_no_bound(name: str) -> None:
    layer = LAYERS[name].build(torch.float32)
    assert math.isinf(layer.largest_output(math.inf))
    for weight in layer.parameters():
        with torch.no_grad():
            kept = weight.clone()
            weight[..., 0] = 3e38
            assert math.isinf(layer.largest_output(1.0))
            weight.copy_(kept)
