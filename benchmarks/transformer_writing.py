"""How many symbols a second does onward write, compared with a transformer of equal size without a cache?

    python benchmarks/transformer_writing.py

The transformer is nanoGPT's character model (6 layers of 384, 6 heads, context of 256), written here in plain
PyTorch. As nanoGPT does, it computes its whole context for each symbol. It has all cores, and the faster of
float32 and bfloat16 counts. onward has the default recipe, widened to the same size, and one core. Weights
are random, because speed does not depend on them. The sides run in turns; the figures are medians.
"""

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from onward.data.vocabulary import BEGIN
from onward.inference.prediction import initial_state
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import Stepper
from onward.model import LanguageModel
from onward.training.recipe import find_recipe
from record import record

SYMBOLS, CONTEXT, WIDTH, HEADS, LAYERS = 69, 256, 384, 6, 6
ONWARD_WIDTH = 544  # 10.7 M parameters, as the transformer has
TURNS, WRITTEN_BY_IT, WRITTEN = 5, 10, 1000


class Block(nn.Module):
    """Attention and a feed-forward layer, each in a residual branch."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = (nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.project, self.out = (nn.Linear(WIDTH, n * WIDTH, bias=False) for n in (3, 1))
        self.feed = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, T, D) to (B, T, D)."""
        heads = self.project(self.before(x)).unflatten(-1, (3, HEADS, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, H, T, D / H)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.feed(self.between(x))


class Transformer(nn.Module):
    """nanoGPT's model: symbol and position embeddings, blocks, a tied readout."""

    def __init__(self) -> None:
        super().__init__()
        self.symbols, self.places = nn.Embedding(SYMBOLS, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Returns the logits (B, V) after the ids (B, T)."""
        x = self.blocks(self.symbols(ids) + self.places(torch.arange(ids.shape[1])))
        return self.norm(x[:, -1]) @ self.symbols.weight.T

    @torch.inference_mode()
    def write(self, count: int) -> None:
        """Writes `count` symbols after a full context."""
        ids = torch.randint(SYMBOLS, (1, CONTEXT))
        for _ in range(count):
            chances = torch.softmax(self(ids[:, -CONTEXT:]).float(), dim=-1)
            ids = torch.cat([ids, torch.multinomial(chances, 1)], dim=1)


def main() -> None:
    torch.manual_seed(0)
    cores, transformer = len(os.sched_getaffinity(0)), Transformer().eval()
    model = LanguageModel(find_recipe("default", {"width": ONWARD_WIDTH}).model_config(SYMBOLS)).eval()
    ways: dict[str, Callable[[], float]] = {
        "transformer fp32": lambda: speed(transformer.write, WRITTEN_BY_IT, cores),
        "transformer bf16": lambda: speed(in_bfloat16(transformer.write), WRITTEN_BY_IT, cores),
    }
    for weights in ("fp32", "bf16", "int8"):
        stepper = Stepper(model, initial_state(model, 1), weights)
        ways[f"onward {weights}"] = lambda stepper=stepper: speed(written_by(stepper), WRITTEN, 1)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            found = way()
            if turn:
                speeds[name].append(found)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    beside = max(speed for name, speed in medians.items() if name.startswith("transformer"))
    record(
        "transformer_writing",
        {
            "parameters": {
                "onward": model.parameter_count(),
                "transformer": sum(p.numel() for p in transformer.parameters()),
            },
            "symbols_per_second": {name: round(speed, 1) for name, speed in medians.items()},
            "times_transformer": {
                name: round(speed / beside, 1) for name, speed in medians.items() if name.startswith("onward")
            },
        },
    )


def speed(write: Callable[[int], None], count: int, threads: int) -> float:
    """Returns the symbols a second with `threads` threads."""
    torch.set_num_threads(threads)
    started = time.perf_counter()
    write(count)
    return count / (time.perf_counter() - started)


def in_bfloat16(write: Callable[[int], None]) -> Callable[[int], None]:
    """Does the same with matrix products in bfloat16."""

    def within(count: int) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            write(count)

    return within


def written_by(stepper: Stepper) -> Callable[[int], None]:
    """Writes with onward: a step and a draw for each symbol."""
    sampling, generator = Sampling(), np.random.default_rng(0)

    def write(count: int) -> None:
        ids = np.array([BEGIN])
        for chance in generator.random((count, 1)):
            ids = sampling.draw(stepper.step(ids), chance)

    return write


if __name__ == "__main__":
    main()
