"""How much slower is a training step than its matrix products alone, and how much faster than plain PyTorch?

    python benchmarks/training_step.py [--recipe default] [--turns 15]

Three programs run in turns on the same block, and the figures are medians: a whole step of `onward train`
(forward, backward, clipping, optimiser); the same with the reference kernels instead of the compiled ones;
and only the matrix products of a step, in the same shapes and precision.
"""

import statistics
import time
from collections.abc import Callable
from unittest import mock

from onward.allocator import keep_freed_memory  # isort: skip - before PyTorch, for its threads
import numpy as np
import torch

from onward.data.lanes import Lanes
from onward.layers.kernels import compiled
from onward.model import LanguageModel
from onward.training.recipe import find_recipe
from onward.training.schedule import Schedule
from onward.training.trainer import Trainer
from record import command_line, record

SYMBOLS = 69
NEWTON_SCHULZ = 5
"""Iterations of Muon, each three products (Jordan et al. 2024)."""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    trainer = new_trainer(options.recipe)
    products = matrix_products(trainer)
    ways: dict[str, Callable[[], object]] = {
        "step": trainer.advance,
        "step_on_reference_kernels": lambda: on_reference(trainer.advance),
        "matrix_products_alone": lambda: [torch.mm(a, b) for a, b in products],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(options.turns + 2):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    symbols = trainer.recipe.lanes * trainer.recipe.block
    work = sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in products)
    record(
        "training_step",
        {
            "recipe": options.recipe,
            "parameters": trainer.model.parameter_count(),
            "precision": trainer.precision,
            "symbols_per_step": symbols,
            "milliseconds": {name: round(1000 * value, 1) for name, value in medians.items()},
            "symbols_per_second": round(symbols / medians["step"]),
            "step_over_matrix_products": round(medians["step"] / medians["matrix_products_alone"], 3),
            "quicker_than_reference": round(medians["step_on_reference_kernels"] / medians["step"], 3),
            "gigaflops_of_matrix_products": round(work / medians["matrix_products_alone"] / 1e9, 1),
        },
    )


def new_trainer(name: str) -> Trainer:
    """Starts a training run on random symbols."""
    keep_freed_memory()
    recipe = find_recipe(name, {"precision": "bf16"})
    size = 4 * recipe.lanes * recipe.block * 8
    ids = np.random.default_rng(0).integers(4, SYMBOLS, size).astype(np.uint8)
    torch.manual_seed(0)
    model = LanguageModel(recipe.model_config(SYMBOLS)).train()
    trainer = Trainer(model, Lanes(ids, lanes=recipe.lanes, steps=recipe.block), recipe, precision="bf16")
    trainer.schedule = Schedule.of(10**6)
    return trainer


def on_reference(step: Callable[[], object]) -> object:
    """Runs a step without the compiled kernels."""
    with mock.patch.object(compiled, "available", False):
        return step()


def matrix_products(trainer: Trainer) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Returns the factors of each matrix product of a step: forward, twice backward, and Muon's."""
    recipe, model = trainer.recipe, trainer.model
    rows = recipe.lanes * recipe.block
    products = []
    matrices = [p for p in model.stack.parameters() if p.ndim == 2 and p.shape[0] > recipe.convolution]
    for weight in [*matrices, model.readout.weight]:
        out, inside = weight.shape
        x, dy, w = (torch.randn(shape).bfloat16() for shape in ((rows, inside), (rows, out), (out, inside)))
        products += [(x, w.t()), (dy, w), (dy.t(), x)]
    if recipe.optimiser == "muon":
        for weight in matrices:
            short, far = sorted(weight.shape)
            x, square = torch.randn(short, far).bfloat16(), torch.randn(short, short).bfloat16()
            products += [(x, x.t()), (square, square), (square, x)] * NEWTON_SCHULZ
    return products


if __name__ == "__main__":
    main()
