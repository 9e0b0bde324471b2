"""The measured speed of training."""

import copy
import math

import pytest
import torch
from tests.training.conftest import MakeTrainer, Small

from onward.training import speed
from onward.training.speed import measure_speed


def test_measuring_does_not_change_the_run(small: Small, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(small(dropout=0.3))
    weights, random = copy.deepcopy(trainer.model.state_dict()), torch.get_rng_state()
    measured = measure_speed(trainer.model, trainer.lanes.next(), "bf16")
    assert measured.precision == "bf16"
    assert 0 < measured.seconds < math.inf
    assert torch.get_rng_state().equal(random)
    assert all(weight.equal(weights[name]) for name, weight in trainer.model.state_dict().items())
    assert all(weight.grad is None for weight in trainer.model.parameters())


@pytest.mark.parametrize("fastest", ["fp32", "bf16"])
def test_auto_is_the_precision_with_the_shortest_pass(
    fastest: str, small: Small, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def block_loss(
        model: object, block: object, state: object, precision: str
    ) -> tuple[torch.Tensor, object]:
        nonlocal now
        now += 2.0 if precision == fastest else 3.0
        return torch.zeros((), requires_grad=True), state

    monkeypatch.setattr(speed, "block_loss", block_loss)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now)
    trainer = make_trainer(small())
    assert measure_speed(trainer.model, trainer.lanes.next(), "auto") == (fastest, 2.0)
