import pytest
import torch
from torch import nn

from onward.training.muon import Muon, orthogonal

SHAPES = (8, 24), (24, 8), (8, 24), (16, 16), (1, 5)


def weights(seed: int) -> list[nn.Parameter]:
    torch.manual_seed(seed)
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def test_it_moves_weights_as_the_optimiser_of_torch_does() -> None:
    ours, theirs = weights(0), weights(0)
    one = Muon(ours, lr=0.1, weight_decay=0.2)
    other = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.2)
    for step in range(4):
        for a, b, gradient in zip(ours, theirs, weights(step + 1), strict=True):
            a.grad, b.grad = gradient.detach().clone(), gradient.detach().clone()
        one.step()
        other.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0.0, atol=0.02)  # four steps of 0.1, of bfloat16 each
        momentum, expected = one.state[a]["momentum_buffer"], other.state[b]["momentum_buffer"]
        torch.testing.assert_close(momentum, expected)


def test_it_goes_on_from_what_torch_remembered() -> None:
    """Both remember by one name, so that checkpoints of either serve the other."""
    ours, theirs = weights(0), weights(0)
    for weight, gradient in zip(theirs, weights(1), strict=True):
        weight.grad = gradient.detach()
    other = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.0)
    other.step()
    one = Muon(ours, lr=0.1, weight_decay=0.0)
    one.load_state_dict({**one.state_dict(), "state": other.state_dict()["state"]})
    for a, b in zip(ours, theirs, strict=True):
        assert one.state[a]["momentum_buffer"].equal(other.state[b]["momentum_buffer"])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_singular_values_come_close_to_one(scale: float) -> None:
    torch.manual_seed(0)
    x = scale * torch.randn(3, 16, 40)
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    found = orthogonal(x.bfloat16()).float()
    assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.4
    directions = (left.mT @ found @ right.mT).diagonal(dim1=1, dim2=2)
    assert directions.min() > 0.6


def test_a_matrix_without_gradient_stays() -> None:
    moved, still = weights(0)[:2]
    before = still.detach().clone()
    moved.grad = torch.ones_like(moved)
    Muon([moved, still], lr=0.1, weight_decay=0.5).step()
    assert still.equal(before)


def test_zeros_move_nothing() -> None:
    weight = nn.Parameter(torch.ones(3, 4))
    weight.grad = torch.zeros(3, 4)
    Muon([weight], lr=0.1, weight_decay=0.0).step()
    assert weight.equal(torch.ones(3, 4))
