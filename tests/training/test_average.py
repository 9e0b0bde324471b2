import torch
from torch import nn

from onward.training.average import Average


def walk(decay: float, steps: int) -> tuple[nn.Linear, Average, list[torch.Tensor]]:
    """A model whose weights move, with all that they were."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    average, seen = Average(model, decay), []
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        average.update(step)
        seen.append(model.weight.detach().clone())
    return model, average, seen


def test_the_mean_is_the_weighted_mean_of_all_steps() -> None:
    _, average, seen = walk(0.9, 20)
    shares = torch.tensor([0.9 ** (20 - i) for i in range(1, 21)])
    expected = (torch.stack(seen) * shares[:, None, None]).sum(0) / shares.sum()
    torch.testing.assert_close(average.tensors()["weight"], expected)


def test_the_weights_come_back() -> None:
    model, average, seen = walk(0.9, 5)
    with average.in_place_of_weights():
        assert not model.weight.equal(seen[-1])
        mean = model.weight.detach().clone()
    assert model.weight.equal(seen[-1])
    assert average.tensors()["weight"].equal(mean)


def test_without_decay_there_is_no_mean() -> None:
    model, average, seen = walk(0.0, 5)
    assert average.tensors() == {}
    with average.in_place_of_weights():
        assert model.weight.equal(seen[-1])


def test_restored_means_go_on_alike() -> None:
    _, average, _ = walk(0.9, 5)
    other = nn.Linear(3, 2)
    again = Average(other, 0.9)
    again.restore(average.tensors())
    assert again.tensors()["weight"].equal(average.tensors()["weight"])
    assert again.tensors()["weight"] is not average.tensors()["weight"]
