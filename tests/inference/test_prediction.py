import pytest
import torch

from onward.inference.prediction import predict, surprise
from onward.inference.trained_model import TrainedModel
from onward.model import block_length


@pytest.mark.parametrize("lanes", [1, 7, 512, 100_000])
@pytest.mark.parametrize("symbols", [4, 100, 50_000, 10_000_000])
def test_blocks_are_bounded_and_never_empty(lanes: int, symbols: int) -> None:
    steps = block_length(lanes, symbols)
    assert 1 <= steps <= 1024
    assert steps == 1 or (steps * lanes <= 1 << 12 and steps * lanes * symbols <= 1 << 22)


def test_surprise_is_minus_the_log_of_the_predicted_probability(trained: TrainedModel) -> None:
    ids = torch.tensor([[2, 2], [4, 5], [6, 7]])
    state = trained.model.initial_state(2)
    logits, after = predict(trained.model, ids[:-1], state)
    nats, same = surprise(trained.model, ids[:-1], ids[1:], state)
    wanted = -logits.log_softmax(-1).gather(-1, ids[1:, :, None])[..., 0]
    torch.testing.assert_close(nats, wanted)
    assert torch.equal(same[0][0][0], after[0][0][0])
    assert not nats.requires_grad
