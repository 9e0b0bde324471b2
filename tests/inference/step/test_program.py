"""Steps that are divided among threads have the results of undivided steps."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.inference.models import STACKS, SYMBOLS, model_of, needs_kernels

from onward.errors import InputError, RunError
from onward.inference.prediction import initial_state
from onward.inference.step import program
from onward.inference.step.packed_weights import PackedWeights, WeightType
from onward.inference.step.program import divide_lanes
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import Stepper
from onward.model import LanguageModel


@pytest.fixture
def always_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divides all steps, however small the model is."""
    monkeypatch.setattr(program, "SHARED", 0)


def steps_of(model: LanguageModel, lanes: int, threads: int, weights: WeightType = "fp32") -> np.ndarray:
    """Returns the logits of three steps, (3, B, V)."""
    stepper = Stepper(model, initial_state(model, lanes), weights, threads=threads)
    ids = np.arange(3 * lanes).reshape(3, lanes) * 7 % SYMBOLS
    return np.stack([stepper.step(row).copy() for row in ids])


@needs_kernels
@pytest.mark.usefixtures("always_shared")
@pytest.mark.parametrize("weights", ["fp32", "bf16", "int8"])
def test_logits_do_not_depend_on_the_number_of_threads(default: LanguageModel, weights: WeightType):
    alone = Stepper(default, initial_state(default, 1), weights)
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
def test_divided_steps_draw_and_raise_as_undivided_ones(default: LanguageModel):
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
def test_a_step_runs_alone_while_all_helper_threads_are_busy(default: LanguageModel):
    wanted = steps_of(default, 40, 1)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: steps_of(default, 40, 3), range(60)):
            assert np.array_equal(found, wanted)


@needs_kernels
@pytest.mark.usefixtures("always_shared")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_its_own_helper_threads(default: LanguageModel):
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
    weights = PackedWeights(default, "fp32")
    assert program.Program(default, 40, weights).whole is not None
    monkeypatch.setattr(program, "SHARED", 0)
    assert [program.Program(default, lanes, weights).whole is None for lanes in (4, 5)] == [False, True]
    assert [program.Program(default, 40, weights).shares(threads).count for threads in (1, 2)] == [1, 2]


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 100])
def test_lanes_are_divided_evenly_among_threads(threads: int):
    for lanes in range(1, 300):
        sizes = divide_lanes(lanes, threads)
        assert sum(sizes) == lanes
        assert all(size > 0 for size in sizes)
        assert all(size % 4 == 0 for size in sizes[:-1])
        assert sizes[0] - sizes[-1] < 8
        assert len(sizes) == min(threads, -(-lanes // 4))
