import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.conftest import MakeTrainer, Small

from onward.errors import ArtefactError
from onward.training import optimiser
from onward.training.optimiser import RunOptimiser, rate_share
from onward.training.recipe import find_recipe
from onward.training.schedule import Schedule


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_rates_rise_and_then_fall_to_zero(decay: str) -> None:
    recipe = find_recipe(overrides={"warm_up": 50, "decay": decay})
    shares = [rate_share(recipe, step, Schedule.of(1000)) for step in range(1001)]
    assert shares[0] == pytest.approx(1 / 51)
    peak = shares.index(max(shares))
    assert 40 < peak <= 50
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert shares[500] == pytest.approx(0.5)
    assert 0 < shares[999] < 0.002
    assert shares[1000] == pytest.approx(0)


def test_without_decay_rates_are_constant() -> None:
    recipe = find_recipe(overrides={"warm_up": 0, "decay": "none"})
    assert {rate_share(recipe, step, Schedule.of(100)) for step in range(100)} == {1.0}


@given(st.integers(1, 500), st.integers(0, 300))
def test_short_runs_end_with_a_low_rate(steps: int, warm_up: int) -> None:
    recipe = find_recipe(overrides={"warm_up": warm_up})
    last = rate_share(recipe, steps - 1, Schedule.of(steps))
    assert 0 < last <= 1 / steps + 1e-9


def test_muon_updates_only_the_matrices_between_layers(small: Small, make_trainer: MakeTrainer) -> None:
    recipe = small(optimiser="muon", rate=0.0, weight_decay=0.0)
    trainer = make_trainer(recipe)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.advance()
    moved = {name for name, weight in trainer.model.named_parameters() if not weight.equal(before[name])}
    assert moved == {
        name
        for name, weight in before.items()
        if name.startswith("stack") and weight.ndim == 2 and "convolution" not in name
    }
    assert "embedding.weight" not in moved
    assert moved


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_weight_decay_shrinks_the_same_matrices(
    optimiser: str, small: Small, make_trainer: MakeTrainer
) -> None:
    """With zero gradients only decay changes weights: by rate times decay, as in the paper on AdamW."""
    recipe = small(optimiser=optimiser, weight_decay=0.5, rate=0.1, muon_rate=0.1)
    model = make_trainer(recipe).model
    run = RunOptimiser(model, recipe)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    assert run.step(1.0, largest=1.0) == 0.0
    for name, weight in model.named_parameters():
        matrix = name.startswith("stack") and weight.ndim == 2 and "convolution" not in name
        torch.testing.assert_close(weight.detach(), before[name] * (0.95 if matrix else 1.0))


def test_exploded_gradients_change_no_weight(small: Small, make_trainer: MakeTrainer) -> None:
    model = make_trainer(small(clip=1.0)).model
    run = RunOptimiser(model, small(clip=1.0))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, torch.inf)
    assert not run.step(1.0, largest=1e4) < 1e4
    assert all(weight.equal(before[name]) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("largest", [0, 10**9], ids=["matrices at the same time", "one after the other"])
def test_the_update_does_not_depend_on_the_number_of_threads(
    largest: int, small: Small, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimiser, "LARGE", largest)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            model = make_trainer(small(width=40)).model
            run = RunOptimiser(model, small(width=40))
            for step in range(3):
                for number, weight in enumerate(model.parameters()):
                    weight.grad = torch.sin(
                        torch.arange(weight.numel()).reshape(weight.shape) + number + step
                    )
                run.step(1.0, largest=1e9)
            assert torch.get_num_threads() == threads
            found.append([*model.parameters()])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_a_failed_update_is_not_ignored(
    small: Small, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(optimiser, "LARGE", 0)
    monkeypatch.setattr(torch.optim.Muon, "step", fail)
    with pytest.raises(MemoryError):
        make_trainer(small()).advance()


def test_a_state_of_another_shape_is_refused(small: Small, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(small())
    trainer.advance()
    state = trainer.optimiser.tensors()
    name = next(name for name, value in state.items() if value.ndim == 2)
    for damaged in ({name: state[name][:1]}, {"7.0.step": torch.tensor(1.0)}, {"nonsense": torch.zeros(1)}):
        with pytest.raises(ArtefactError, match="does not fit this run") as caught:
            trainer.optimiser.restore(state | damaged)
        assert "start again" in caught.value.hint
