"""A step in C agrees with the model: for every layer and any number of lanes."""

import numpy as np
import pytest
import torch
from tests.inference.models import STACKS, SYMBOLS, model_of, needs_kernels
from torch import nn

from onward.errors import InputError, RunError
from onward.inference.prediction import initial_state, predict
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.program import Program
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import FEW_LANES, Stepper
from onward.layers.kernels import compiled
from onward.layers.state import select_lanes, tensors_of
from onward.model import LanguageModel

TOLERANCE = 1e-4


def probabilities(logits: torch.Tensor | np.ndarray) -> torch.Tensor:
    return torch.log_softmax(torch.as_tensor(logits), -1).clone()


@pytest.mark.parametrize("lanes", [1, 3, FEW_LANES + 1])
@pytest.mark.parametrize("name", STACKS)
def test_steps_agree_with_a_block(name: str, lanes: int):
    model = model_of(name)
    ids = torch.randint(SYMBOLS, (40, lanes))
    expected, last = predict(model, ids, initial_state(model, lanes))
    stepper = Stepper(model, initial_state(model, lanes))
    for row, wanted in zip(ids, expected, strict=True):
        found = stepper.step(row.numpy())
        torch.testing.assert_close(probabilities(found), probabilities(wanted), atol=TOLERANCE, rtol=0)
    for part, wanted in zip(tensors_of(stepper.state), tensors_of(last), strict=True):
        torch.testing.assert_close(part, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def test_a_state_does_not_change_after_it_was_read(default: LanguageModel):
    stepper = Stepper(default, initial_state(default, 2))
    stepper.step(np.array([1, 2]))
    taken = stepper.state
    copies = [part.clone() for part in tensors_of(taken)]
    after = stepper.step(np.array([3, 4])).copy()
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(taken), copies, strict=True))
    stepper.state = taken
    assert np.array_equal(stepper.step(np.array([3, 4])), after)


@needs_kernels
def test_a_state_can_be_set_after_an_error(default: LanguageModel):
    stepper = Stepper(default, initial_state(default, 1))
    before = stepper.state
    wanted = Stepper(default, before).step(np.array([7])).copy()
    with torch.no_grad():
        bias = default.readout.bias
        kept = bias.clone()
        bias.fill_(float("nan"))
    with pytest.raises(RunError, match="finite"):
        stepper.write(np.array([5]), np.array([0.5]), Sampling(), 4)
    bias.data.copy_(kept)
    stepper.state = before
    assert np.array_equal(stepper.step(np.array([7])), wanted)
    stepper.state = before
    rows = [part + 1.0 for part in tensors_of(before)]
    with pytest.raises(InputError, match="expected ids"):
        stepper.step_rows(rows, np.array([0]), np.array([SYMBOLS]), np.array([0]))
    stepper.state = before
    assert np.array_equal(stepper.step(np.array([7])), wanted)


def test_lanes_can_be_selected_and_duplicated(default: LanguageModel):
    stepper = Stepper(default, initial_state(default, 3))
    stepper.step(np.array([5, 6, 7]))
    whole = Stepper(default, stepper.state).step(np.array([8, 8, 9])).copy()
    stepper.select(np.array([2, 0, 0]))
    found = stepper.step(np.array([9, 8, 8]))
    np.testing.assert_allclose(found, whole[[2, 0, 0]], atol=1e-5)


def test_lanes_are_independent(default: LanguageModel):
    alone = Stepper(default, initial_state(default, 1))
    beside = Stepper(default, initial_state(default, 4))
    for symbol in (4, 9, 11):
        one = alone.step(np.array([symbol]))
        four = beside.step(np.array([symbol, 1, 2, 3]))
        assert np.array_equal(one[0], four[0])


@needs_kernels
@pytest.mark.parametrize(("weights", "furthest"), [("bf16", 0.02), ("int8", 0.05)])
def test_rounded_weights_are_nearly_exact(default: LanguageModel, weights: WeightType, furthest: float):
    exact = Stepper(default, initial_state(default, 1))
    rounded = Stepper(default, initial_state(default, 1), weights)
    differences = []
    for symbol in np.random.default_rng(0).integers(4, SYMBOLS, 50):
        one, other = exact.step(np.array([symbol])), rounded.step(np.array([symbol]))
        differences.append((probabilities(one) - probabilities(other)).abs().max())
    assert 0 < max(differences) < furthest


def rounded(model: LanguageModel, weights: str) -> LanguageModel:
    """Rounds the weights of a model as a step with this type of weights does."""
    read = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    read |= {id(p) for name, p in model.named_parameters() if "rnn.weight" in name}
    with torch.no_grad():
        for matrix in (p for p in model.parameters() if id(p) in read):
            scale = matrix.abs().amax(1, keepdim=True) / 127
            whole = (matrix / scale).round() * scale if weights == "int8" else matrix.bfloat16().float()
            matrix.copy_(whole)
    return model


@needs_kernels
@pytest.mark.parametrize("has_dot", [False, True])
@pytest.mark.parametrize("weights", ["bf16", "int8"])
@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("name", ["GatedLinear", "GatedFeedForward", "LSTM", "GRU", "a stack in a stack"])
def test_only_the_weights_are_rounded(
    name: str, lanes: int, weights: WeightType, has_dot: bool, monkeypatch: pytest.MonkeyPatch
):
    if has_dot and not compiled.has_dot:
        pytest.skip("this processor does not multiply bytes four at a time")
    monkeypatch.setattr(compiled, "has_dot", has_dot)
    stepper = Stepper(model_of(name), initial_state(model_of(name), lanes), weights)
    ids = torch.randint(SYMBOLS, (40, lanes))
    model = rounded(model_of(name), weights)
    expected, _ = predict(model, ids, initial_state(model, lanes))
    for row, wanted in zip(ids, expected, strict=True):
        found = stepper.step(row.numpy())
        torch.testing.assert_close(probabilities(found), probabilities(wanted), atol=TOLERANCE, rtol=0)


@needs_kernels
def test_weights_that_are_nan_raise_an_error_in_every_type(default: LanguageModel):
    with torch.no_grad():
        default.embedding.weight[7, 3] = float("nan")
    for weights in ("fp32", "bf16", "int8"):
        stepper = Stepper(default, initial_state(default, 1), weights)
        with pytest.raises(RunError, match="finite"):
            stepper.write(np.array([7]), np.array([0.5]), Sampling(), 4)


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0), Sampling(top_k=3, min_p=0.1)])
def test_write_is_a_step_and_a_draw(
    default: LanguageModel, sampling: Sampling, is_compiled: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, "available", is_compiled and compiled.available)
    one, other = (Stepper(default, initial_state(default, 2)) for _ in range(2))
    drawn = wanted = np.array([5, 9])
    for chances in np.random.default_rng(0).random((50, 2)):
        logits = other.step(wanted)
        logits[:, :4] = -np.inf
        drawn, wanted = one.write(drawn, chances, sampling, 4), sampling.draw(logits, chances)
        assert np.array_equal(drawn, wanted)
    with pytest.raises(InputError, match="expected ids"):
        one.write(np.array([5, SYMBOLS]), np.zeros(2), sampling, 4)


@needs_kernels
def test_rounded_weights_work_with_many_lanes(default: LanguageModel):
    few, many = (Stepper(default, initial_state(default, lanes), "int8") for lanes in (1, 20))
    one = few.step(np.array([7]))
    assert np.array_equal(many.step(np.full(20, 7)), one.repeat(20, 0))


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("ids", [[SYMBOLS], [-1], [1, 2], [1] * (FEW_LANES + 1), []])
def test_wrong_ids_are_refused(
    default: LanguageModel, ids: list[int], is_compiled: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, "available", is_compiled and compiled.available)
    with pytest.raises(InputError, match="expected ids"):
        Stepper(default, initial_state(default, 1)).step(np.array(ids, np.int64))


def test_unknown_weights_are_refused(default: LanguageModel):
    with pytest.raises(Exception, match="int4"):  # beartype raises in the tests, onward otherwise
        Stepper(default, initial_state(default, 1), "int4")  # type: ignore[arg-type]


def test_a_float64_model_is_stepped_by_pytorch():
    model = model_of("LSTM").double()
    ids = torch.tensor([[3]])
    expected, _ = predict(model, ids, initial_state(model, 1))
    found = Stepper(model, initial_state(model, 1)).step(np.array([3]))
    assert np.array_equal(found[0], expected[0, 0].numpy())
    with pytest.raises(InputError, match="need the C kernels"):
        Stepper(model, initial_state(model, 1), "bf16")


def test_without_c_kernels_the_model_is_stepped_by_pytorch(
    default: LanguageModel, monkeypatch: pytest.MonkeyPatch
):
    expected = Stepper(default, initial_state(default, 1)).step(np.array([7])).copy()
    monkeypatch.setattr(compiled, "available", False)
    found = Stepper(default, initial_state(default, 1)).step(np.array([7]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@needs_kernels
@pytest.mark.parametrize("weights", ["fp32", "int8"])
def test_programs_for_different_numbers_of_lanes_share_memory(default: LanguageModel, weights: WeightType):
    stepper, chance = Stepper(default, initial_state(default, 1), weights), np.random.default_rng(0)
    for lanes in (*range(1, 33), *chance.integers(1, 33, 40).tolist()):
        ids = chance.integers(4, SYMBOLS, (2, lanes))
        stepper.state = initial_state(default, lanes)
        fresh = Stepper(default, initial_state(default, lanes), weights)
        for row in ids:
            np.testing.assert_array_equal(stepper.step(row), fresh.step(row))
        kept = stepper.state
        stepper.select(np.arange(lanes)[::2])  # another program takes the state over
        fresh.state = select_lanes(kept, torch.arange(lanes)[::2])
        np.testing.assert_array_equal(stepper.step(ids[0, ::2]), fresh.step(ids[0, ::2]))
    programs = stepper._programs
    assert set(programs) == {*range(1, 33)}
    shared = {address: size for program in programs.values() for address, size in storages(program).items()}
    assert sum(shared.values()) <= 2 * sum(storages(programs[32]).values())


def storages(program: Program) -> dict[int, int]:
    """Returns the address and the size of the storages of a program's vectors."""
    return {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in program.vectors}
