"""How fast could this machine train, score and write, and how much of that does onward reach?

    python benchmarks/roofline.py

Measures the rate of matrix products of the default model's shapes, in float32 and bfloat16, and the rate at
which matrix-vector products read memory (as writing reads its weights), for matrices in the L2 cache,
in the L3 cache, and in neither, on one core and on all. Compares them with the matrix products of a training
step (forward, and twice that for backward, without Muon's) and of scoring, and with the weights that
writing reads on one core. The figures are medians.
"""

import os
import statistics
import time
from collections.abc import Callable

from onward.allocator import keep_freed_memory  # isort: skip - before PyTorch, for its threads
import numpy as np
import torch

from onward.data.lanes import Lanes
from onward.inference.prediction import initial_state
from onward.inference.scoring.protocol import Protocol, surprises
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.stepper import Stepper
from onward.model import LanguageModel
from onward.precision import quick_precision
from onward.training.recipe import find_recipe
from onward.training.schedule import Schedule
from onward.training.trainer import Trainer
from record import record

SYMBOLS, ROWS, TURNS = 69, 4096, 7
SHAPES = ((256, 1152), (384, 256), (256, 1024), (512, 256))  # inside and out, of the default model
MATRICES = {"second cache": 128, "third cache": 2048, "memory": 65_536}  # rows of 1024 float32
SCORED, WRITTEN = 1 << 17, 1000
BYTES: dict[WeightType, int] = {"fp32": 4, "bf16": 2, "int8": 1}


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, dict[str, float]] = {"gigaflops_of_products": {}, "gigabytes_read_per_second": {}}
    for threads in sorted({1, cores}):
        torch.set_num_threads(threads)
        for dtype in (torch.float32, torch.bfloat16):
            name = f"{str(dtype).removeprefix('torch.')}, {threads} cores"
            figures["gigaflops_of_products"][name] = round(products(dtype) / 1e9, 1)
        for place, rows in MATRICES.items():
            read = round(reading(rows) / 1e9, 1)
            figures["gigabytes_read_per_second"][f"{place}, {threads} cores"] = read
    torch.manual_seed(0)
    model = LanguageModel(find_recipe("default").model_config(SYMBOLS))
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2) - model.embedding.weight.numel()
    record("roofline", figures | reached(model, weights, cores))


def seconds(work: Callable[[], object]) -> float:
    """Returns the median seconds of a call."""
    taken = []
    for turn in range(TURNS + 1):
        started = time.perf_counter()
        work()
        if turn:
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def products(dtype: torch.dtype) -> float:
    """Returns the operations a second of a block's matrix products."""
    pairs = [(torch.ones(ROWS, i, dtype=dtype), torch.ones(o, i, dtype=dtype).T) for i, o in SHAPES]
    work = sum(2 * ROWS * inside * out for inside, out in SHAPES)
    return work / seconds(lambda: [torch.mm(x, weight) for x, weight in pairs])


def reading(rows: int) -> float:
    """Returns the bytes a second that matrix-vector products read; small matrices repeat."""
    matrix, x = torch.ones(rows, 1024), torch.ones(1024)
    times = max(1, MATRICES["memory"] // rows // 4)
    return times * matrix.nbytes / seconds(lambda: [torch.mv(matrix, x) for _ in range(times)])


def reached(model: LanguageModel, weights: int, cores: int) -> dict[str, dict[str, float]]:
    """Measures training, scoring and writing."""
    torch.set_num_threads(cores)
    precision, recipe = quick_precision(torch.device("cpu")), find_recipe("default")
    ids = np.random.default_rng(0).integers(4, SYMBOLS, max(SCORED, 100 * ROWS)).astype(np.uint8)
    lanes = Lanes(ids, lanes=recipe.lanes, steps=recipe.block)
    keep_freed_memory()
    trainer = Trainer(model.train(), lanes, recipe, precision=precision)
    trainer.schedule = Schedule.of(10**6)
    trained = recipe.lanes * recipe.block / seconds(trainer.advance)
    text = ids[:SCORED]
    plan = Protocol().plan(model, SCORED)
    scored = SCORED / seconds(lambda: [*surprises(model, text, plan)])
    torch.set_num_threads(1)
    written = {}
    for kind, size in BYTES.items():
        speed = WRITTEN / seconds(steps(Stepper(model, initial_state(model, 1), kind)))
        written[kind] = (speed, speed * weights * size)
    return {
        "symbols_per_second": {
            "training": round(trained),
            "scoring": round(scored),
            **{f"steps {kind}, 1 core": round(speed) for kind, (speed, _) in written.items()},
        },
        "gigaflops_reached": {
            f"training {precision}": round(6 * weights * trained / 1e9, 1),
            f"scoring {plan.precision}": round(2 * weights * scored / 1e9, 1),
        },
        "gigabytes_of_weights_per_second": {
            f"steps {kind}, 1 core": round(rate / 1e9, 1) for kind, (_, rate) in written.items()
        },
    }


def steps(stepper: Stepper) -> Callable[[], object]:
    """Runs `count` steps without drawing symbols."""
    symbol = np.array([5])
    return lambda: [stepper.step(symbol) for _ in range(WRITTEN)]


if __name__ == "__main__":
    main()
