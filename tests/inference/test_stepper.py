"""A step in C gives what the model gives: every layer, any lanes, states that can be kept."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from onward.errors import InputError, RunError
from onward.inference import program
from onward.inference.matrices import Matrices
from onward.inference.prediction import initial_state, predict
from onward.inference.program import division
from onward.inference.sampling import Sampling
from onward.inference.stepper import FEW_LANES, Stepper
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.kernels import compiled
from onward.layers.lstm import LSTM
from onward.layers.norm import BatchNorm, RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack
from onward.layers.state import tensors_of
from onward.model import LanguageModel, ModelConfig

SYMBOLS = 19
TOLERANCE = 1e-4

needs_kernels = pytest.mark.skipif(not compiled.available, reason="the C kernels were not built here")


def batch_norm(width: int) -> BatchNorm:
    """One whose running statistics are not those of a new one."""
    layer = BatchNorm(width)
    nn.init.normal_(layer.norm.running_mean)
    nn.init.uniform_(layer.norm.running_var, 0.5, 2.0)
    nn.init.normal_(layer.norm.weight)
    nn.init.normal_(layer.norm.bias)
    return layer


STACKS: dict[str, Callable[[], list]] = {
    "GatedLinear": lambda: [GatedLinear(12, 17)],
    "GatedLinear without convolution": lambda: [GatedLinear(12, 17, convolution=1)],
    "GatedLinear with a convolution of two": lambda: [GatedLinear(12, 17, convolution=2)],
    "GatedFeedForward": lambda: [GatedFeedForward(12, 31)],
    "LSTM": lambda: [LSTM(12, 12)],
    "GRU": lambda: [GRU(12, 12)],
    "SimpleRNN, tanh": lambda: [SimpleRNN(12, 12)],
    "SimpleRNN, relu": lambda: [SimpleRNN(12, 12, activation="relu", initialisation="identity")],
    "RMSNorm": lambda: [RMSNorm(12)],
    "BatchNorm": lambda: [batch_norm(12)],
    "Dropout": lambda: [Dropout(12, 0.5)],
    "Residual": lambda: [Residual(LSTM(12, 12), norm=RMSNorm(12), dropout=0.1)],
    "Residual without a norm": lambda: [Residual(GRU(12, 12))],
    "a stack in a stack": lambda: [LSTM(12, 12), Stack([GRU(12, 12), Residual(GatedLinear(12, 5))])],
}


def model_of(name: str, seed: int = 0) -> LanguageModel:
    """A model around the layers of that name, with weights large enough for the gates to move."""
    torch.manual_seed(seed)
    model = LanguageModel(ModelConfig(symbols=SYMBOLS, width=12, layers=1))
    model.stack = Stack(STACKS[name]())
    nn.init.normal_(model.embedding.weight)
    return model.eval()


@pytest.fixture
def default() -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(ModelConfig(symbols=SYMBOLS, width=32, layers=2)).eval()


def probabilities(logits: torch.Tensor | np.ndarray) -> torch.Tensor:
    return torch.log_softmax(torch.as_tensor(logits), -1).clone()


@pytest.mark.parametrize("lanes", [1, 3, FEW_LANES + 1])
@pytest.mark.parametrize("name", STACKS)
def test_steps_give_what_a_block_gives(name: str, lanes: int):
    model = model_of(name)
    ids = torch.randint(SYMBOLS, (40, lanes))
    expected, last = predict(model, ids, initial_state(model, lanes))
    stepper = Stepper(model, initial_state(model, lanes))
    for row, wanted in zip(ids, expected, strict=True):
        found = stepper.step(row.numpy())
        torch.testing.assert_close(probabilities(found), probabilities(wanted), atol=TOLERANCE, rtol=0)
    for part, wanted in zip(tensors_of(stepper.state), tensors_of(last), strict=True):
        torch.testing.assert_close(part, wanted, atol=TOLERANCE, rtol=TOLERANCE)


def test_a_state_that_was_taken_is_left_as_it_is(default: LanguageModel):
    stepper = Stepper(default, initial_state(default, 2))
    stepper.step(np.array([1, 2]))
    taken = stepper.state
    copies = [part.clone() for part in tensors_of(taken)]
    after = stepper.step(np.array([3, 4])).copy()
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(taken), copies, strict=True))
    stepper.state = taken
    assert np.array_equal(stepper.step(np.array([3, 4])), after)


@needs_kernels
def test_after_a_failure_a_state_can_be_set_again(default: LanguageModel):
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


def test_lanes_can_be_chosen_and_doubled(default: LanguageModel):
    stepper = Stepper(default, initial_state(default, 3))
    stepper.step(np.array([5, 6, 7]))
    whole = Stepper(default, stepper.state).step(np.array([8, 8, 9])).copy()
    stepper.select(np.array([2, 0, 0]))
    found = stepper.step(np.array([9, 8, 8]))
    np.testing.assert_allclose(found, whole[[2, 0, 0]], atol=1e-5)


def test_lanes_do_not_mix(default: LanguageModel):
    alone = Stepper(default, initial_state(default, 1))
    beside = Stepper(default, initial_state(default, 4))
    for symbol in (4, 9, 11):
        one = alone.step(np.array([symbol]))
        four = beside.step(np.array([symbol, 1, 2, 3]))
        assert np.array_equal(one[0], four[0])


@needs_kernels
@pytest.mark.parametrize(("weights", "furthest"), [("bf16", 0.02), ("int8", 0.05)])
def test_rounded_weights_are_near(default: LanguageModel, weights: str, furthest: float):
    exact = Stepper(default, initial_state(default, 1))
    rounded = Stepper(default, initial_state(default, 1), weights)
    differences = []
    for symbol in np.random.default_rng(0).integers(4, SYMBOLS, 50):
        one, other = exact.step(np.array([symbol])), rounded.step(np.array([symbol]))
        differences.append((probabilities(one) - probabilities(other)).abs().max())
    assert 0 < max(differences) < furthest


def rounded(model: LanguageModel, weights: str) -> LanguageModel:
    """The model itself with the weights that a step in that type reads."""
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
def test_nothing_but_the_weights_is_rounded(
    name: str, lanes: int, weights: str, has_dot: bool, monkeypatch: pytest.MonkeyPatch
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
def test_weights_that_are_no_numbers_are_seen_in_every_type(default: LanguageModel):
    with torch.no_grad():
        default.embedding.weight[7, 3] = float("nan")
    for weights in ("fp32", "bf16", "int8"):
        stepper = Stepper(default, initial_state(default, 1), weights)
        with pytest.raises(RunError, match="finite"):
            stepper.write(np.array([7]), np.array([0.5]), Sampling(), 4)


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0), Sampling(top_k=3, min_p=0.1)])
def test_writing_is_a_step_and_a_draw(
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
def test_rounded_weights_serve_many_lanes(default: LanguageModel):
    few, many = (Stepper(default, initial_state(default, lanes), "int8") for lanes in (1, 20))
    one = few.step(np.array([7]))
    assert np.array_equal(many.step(np.full(20, 7)), one.repeat(20, 0))


@pytest.mark.parametrize("ids", [[SYMBOLS], [-1], [1, 2], []])
def test_wrong_ids_are_refused(default: LanguageModel, ids: list[int]):
    with pytest.raises(InputError, match="expected ids"):
        Stepper(default, initial_state(default, 1)).step(np.array(ids, np.int64))


def test_unknown_weights_are_refused(default: LanguageModel):
    with pytest.raises(Exception, match="int4"):  # beartype's in the tests, an InputError outside
        Stepper(default, initial_state(default, 1), "int4")  # type: ignore[arg-type]


def test_double_precision_takes_the_model_itself():
    model = model_of("LSTM").double()
    ids = torch.tensor([[3]])
    expected, _ = predict(model, ids, initial_state(model, 1))
    found = Stepper(model, initial_state(model, 1)).step(np.array([3]))
    assert np.array_equal(found[0], expected[0, 0].numpy())
    with pytest.raises(InputError, match="need the C kernels"):
        Stepper(model, initial_state(model, 1), "bf16")


def test_without_the_kernels_the_model_itself_is_called(
    default: LanguageModel, monkeypatch: pytest.MonkeyPatch
):
    expected = Stepper(default, initial_state(default, 1)).step(np.array([7])).copy()
    monkeypatch.setattr(compiled, "available", False)
    found = Stepper(default, initial_state(default, 1)).step(np.array([7]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.fixture
def always_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are divided however small the model is."""
    monkeypatch.setattr(program, "SHARED", 0)


def steps_of(model: LanguageModel, lanes: int, threads: int, weights: str = "fp32") -> np.ndarray:
    """Logits of three steps, (3, B, V)."""
    stepper = Stepper(model, initial_state(model, lanes), weights, threads=threads)  # type: ignore[arg-type]
    ids = np.arange(3 * lanes).reshape(3, lanes) * 7 % SYMBOLS
    return np.stack([stepper.step(row).copy() for row in ids])


@needs_kernels
@pytest.mark.usefixtures("always_shared")
@pytest.mark.parametrize("weights", ["fp32", "bf16", "int8"])
def test_threads_change_nothing(default: LanguageModel, weights: str):
    alone = Stepper(default, initial_state(default, 1), weights)  # type: ignore[arg-type]
    begin = alone.state
    for lanes in range(1, 41):
        found = [steps_of(default, lanes, threads, weights) for threads in (1, 2, 3)]
        assert np.array_equal(found[0], found[1])
        assert np.array_equal(found[0], found[2])
        for lane in (0, lanes // 2, lanes - 1):
            alone.state = begin
            for row, logits in enumerate(found[0]):
                assert np.array_equal(
                    alone.step(np.array([(row * lanes + lane) * 7 % SYMBOLS]))[0], logits[lane]
                )


@needs_kernels
@pytest.mark.usefixtures("always_shared")
@pytest.mark.parametrize("name", STACKS)
def test_every_layer_can_be_divided(name: str):
    model = model_of(name)
    assert np.array_equal(steps_of(model, 13, 2), steps_of(model, 13, 1))


@needs_kernels
@pytest.mark.usefixtures("always_shared")
def test_what_is_divided_is_drawn_and_refused_as_it_is_elsewhere(default: LanguageModel):
    one, two = (Stepper(default, initial_state(default, 24), threads=threads) for threads in (1, 2))
    drawn = wanted = np.arange(24) % SYMBOLS
    for chances in np.random.default_rng(0).random((20, 24)):
        drawn, wanted = two.write(drawn, chances, Sampling(), 4), one.write(wanted, chances, Sampling(), 4)
        assert np.array_equal(drawn, wanted)
        assert drawn.min() >= 4
    with pytest.raises(InputError, match="expected ids"):
        two.step(np.array([5] * 23 + [SYMBOLS]))
    with torch.no_grad():
        default.embedding.weight[7, 3] = float("nan")
    with pytest.raises(RunError, match="finite"):
        two.write(np.array([5] * 23 + [7]), np.full(24, 0.5), Sampling(), 4)


@needs_kernels
@pytest.mark.usefixtures("always_shared")
def test_who_finds_the_helpers_at_work_goes_on_without_them(default: LanguageModel):
    wanted = steps_of(default, 40, 1)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: steps_of(default, 40, 3), range(60)):
            assert np.array_equal(found, wanted)


@needs_kernels
@pytest.mark.usefixtures("always_shared")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_helpers_of_its_own(default: LanguageModel):
    stepper = Stepper(default, initial_state(default, 24), threads=2)
    begin, ids = stepper.state, np.arange(24) % SYMBOLS
    wanted = stepper.step(ids).copy()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        stepper.state = begin
        same = all(np.array_equal(stepper.step(ids), wanted) for stepper.state in [begin] * 3)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    stepper.state = begin
    assert np.array_equal(stepper.step(ids), wanted)


@needs_kernels
def test_few_lanes_and_small_models_are_not_divided(default: LanguageModel, monkeypatch: pytest.MonkeyPatch):
    matrices = Matrices(default, "fp32")
    assert program.Program(default, 40, matrices).whole is not None
    monkeypatch.setattr(program, "SHARED", 0)
    assert [program.Program(default, lanes, matrices).whole is None for lanes in (4, 5)] == [False, True]
    assert [program.Program(default, 40, matrices).shares(threads).count for threads in (1, 2)] == [1, 4]


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 100])
def test_shares_are_whole_and_as_even_as_they_can_be(threads: int):
    for lanes in range(1, 300):
        sizes = division(lanes, threads)
        assert sum(sizes) == lanes
        assert all(size > 0 for size in sizes)
        assert all(size % 4 == 0 for size in sizes[:-1])
        assert sizes[0] - sizes[-1] < 8
        assert len(sizes) == 1 if threads == 1 else len(sizes) <= 2 * threads
