import pytest
import torch
from tests.layers.cases import scattered

from onward.layers.gated_linear import GatedLinear


@pytest.mark.parametrize("longest", [20.0, 150.0, 2000.0])
def test_the_memory_of_a_new_layer_ranges_from_two_steps_to_the_longest(longest: float) -> None:
    layer = GatedLinear(8, 64, longest_memory=longest)
    torch.nn.init.zeros_(layer.project.weight)
    h = torch.ones(1, 64)
    _, (after, _) = layer(torch.zeros(1, 1, 8), (h, torch.zeros(1, 3, 8)))
    memory = 1 / (1 - after[0].detach())  # each step keeps 1 - 1 / memory of h
    assert float(memory[0]) == pytest.approx(2.0, rel=1e-3)
    assert float(memory[-1]) == pytest.approx(longest, rel=0.15)
    assert bool((memory.diff() > 0).all())


def test_the_convolution_starts_as_the_identity() -> None:
    layer = GatedLinear(4, 6)
    x, h = torch.randn(5, 2, 4), torch.randn(2, 6)
    y, _ = layer(x, (h, torch.randn(2, 3, 4)))
    expected, _ = layer(x, (h, torch.randn(2, 3, 4)))
    assert torch.equal(y, expected)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9])
def test_the_state_holds_the_last_inputs_unchanged(steps: int) -> None:
    layer = scattered(GatedLinear(4, 6))
    x, tail = torch.randn(steps, 2, 4), torch.randn(2, 3, 4)
    _, (_, after) = layer(x, (torch.zeros(2, 6), tail))
    seen = torch.cat([tail, x.transpose(0, 1)], dim=1)
    assert torch.equal(after, seen[:, -3:])


def test_a_gate_of_one_takes_the_new_value_and_of_zero_keeps_the_old() -> None:
    layer = scattered(GatedLinear(4, 6, convolution=1))
    x, h, none = torch.randn(1, 2, 4), torch.randn(2, 6), torch.zeros(2, 0, 4)
    value = (x[0] * layer.convolution[0]) @ layer.project.weight[6:12].T + layer.project.bias[6:12]
    for bias, expected in ((100.0, value), (-100.0, h)):
        torch.nn.init.constant_(layer.project.bias[:6], bias)
        _, (after, _) = layer(x, (h, none))
        torch.testing.assert_close(after, expected)
