"""The engine of exported pages computes what onward computes: the same C code, compiled to WebAssembly."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.export.nodejs import WASM, needs_node, run_engine
from tests.inference.models import STACKS, model_of, needs_kernels

from onward.inference.completion.search_states import softmax
from onward.inference.prediction import initial_state
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import Stepper
from onward.model import LanguageModel, LayerKind, ModelConfig

BUILD = Path(__file__).parents[2] / ".ci" / "wasm"
SYMBOLS_READ, WRITTEN = 500, 60


def model_with(layer: LayerKind, width: int = 96) -> LanguageModel:
    """Returns a model with two layers, whose probabilities are not all alike."""
    torch.manual_seed(1)
    model = LanguageModel(ModelConfig(symbols=83, layer=layer, width=width, layers=2))
    torch.nn.init.normal_(model.embedding.weight)
    model.scale_logits(4.0)
    return model.eval()


def check(model: LanguageModel, folder: Path, lanes: int = 1, wasm: Path = WASM) -> None:
    """Compares probabilities and written symbols with those of onward, for bf16 weights."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, model.config.symbols, (SYMBOLS_READ // lanes, lanes))
    chances = generator.random(WRITTEN)
    logits, drawn = run_engine(model, ids, chances, folder, wasm)
    stepper = Stepper(model, initial_state(model, lanes), "bf16")
    for row, expected in zip(logits, (softmax(stepper.step(symbols)) for symbols in ids), strict=True):
        np.testing.assert_allclose(softmax(row), expected, rtol=0, atol=1e-4)
    writer = Stepper(model, initial_state(model, 1), "bf16")
    sampling, last = Sampling(temperature=0.8), ids[0, :1]
    for chance, symbol in zip(chances, drawn, strict=True):
        last = writer.write(last, np.array([chance]), sampling, never=4).copy()
        assert symbol == last[0]


@needs_node
@needs_kernels
@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_probabilities_and_written_symbols_are_those_of_onward(layer: LayerKind, tmp_path: Path):
    check(model_with(layer), tmp_path)


@needs_node
@needs_kernels
@pytest.mark.parametrize("name", STACKS)
def test_every_layer_can_be_exported(name: str, tmp_path: Path):
    check(model_of(name), tmp_path)


@needs_node
@needs_kernels
def test_lanes_are_independent(tmp_path: Path):
    check(model_with("gated"), tmp_path, lanes=5)


@needs_node
@needs_kernels
def test_a_tied_matrix_is_exported(tmp_path: Path):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(symbols=83, width=64, layers=1, tied=True)).eval()
    check(model, tmp_path)


@pytest.mark.slow
@needs_node
@needs_kernels
@pytest.mark.skipif(
    not (shutil.which("clang") and shutil.which("wasm-ld")),
    reason="needs clang (Debian: apt install clang lld wasi-libc libclang-rt-dev-wasm32)",
)
def test_a_module_that_is_built_now_computes_the_same(tmp_path: Path):
    built = tmp_path / "step.wasm"
    ended = subprocess.run([str(BUILD), str(built)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    check(model_with("gated"), tmp_path, wasm=built)


def test_the_module_is_small_and_asks_the_page_for_nothing():
    content = WASM.read_bytes()
    assert content[:4] == b"\0asm"
    assert len(content) < 60_000
    assert b"wasi_snapshot" not in content
