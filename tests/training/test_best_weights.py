import torch

from onward.model import LanguageModel, ModelConfig
from onward.training.best_weights import BestWeights


def test_the_weights_with_the_lowest_loss_are_kept() -> None:
    model = LanguageModel(ModelConfig(symbols=9, width=4, layers=1, tied=True))
    best, scale = BestWeights(), dict(model.named_parameters())["stack.layers.0.norm.scale"]
    found = []
    for step, nats in enumerate([2.0, 1.0, 1.5, float("nan"), 1.0], 1):
        torch.nn.init.constant_(scale, step)
        found.append(best.offer(nats, step, model))
    assert found == [True, True, False, False, False]
    assert (best.nats_per_symbol, best.step) == (1.0, 2)
    best.restore(model)
    assert model.state_dict()["stack.layers.0.norm.scale"].tolist() == [2.0] * 4
    assert model.readout.weight is model.embedding.weight
