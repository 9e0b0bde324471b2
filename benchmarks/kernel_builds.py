"""Is one build of the C kernels slower than another, for instance with hardened compiler flags?

    python benchmarks/kernel_builds.py FIRST SECOND [--turns 200]

FIRST and SECOND are builds of src/onward/layers/kernels/_kernels*.so. One process on one thread uses them in
turns, in alternating order: for a training step of the recipe `default`, and to write with one lane. The
figures are CPU seconds, which other programs disturb less than wall-clock seconds: the median of each build,
and the median of SECOND over FIRST within a turn, with its 95 % interval.
"""

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from scipy.stats import binom

from onward.artefact import Artefact
from onward.data.lanes import Lanes
from onward.data.vocabulary import Vocabulary
from onward.inference.trained_model import TrainedModel
from onward.layers.kernels import compiled
from onward.model import LanguageModel
from onward.training.recipe import find_recipe
from onward.training.schedule import Schedule
from onward.training.trainer import Trainer
from record import command_line, record

LANES, BLOCK, WRITTEN = 8, 64, 400
ALPHABET = "abcdefghijklmnopqrstuvwxyz .,\n"
WARM_UP = 3


def main() -> None:
    parser = command_line(__doc__, "first", "second")
    parser.add_argument("--turns", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    builds = [load(path) for path in (options.first, options.second)]
    figures = {
        name: compare(work, builds, options.turns)
        for name, work in (("training", training()), ("writing", writing()))
    }
    record("kernel_builds", {"turns": options.turns, **figures})


def load(path: Path) -> ctypes.CDLL:
    """Loads a build with the argument types of the installed one."""
    library, installed = ctypes.CDLL(str(path.resolve())), compiled._library
    for name in ("onward_step", "onward_write", "onward_draw"):
        getattr(library, name).argtypes = getattr(installed, name).argtypes
    return library


def compare(work: Callable[[], object], builds: list[ctypes.CDLL], turns: int) -> dict[str, Any]:
    """Runs a unit of work with both builds in each turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + WARM_UP):
        for which in (0, 1) if turn % 2 else (1, 0):
            with mock.patch.object(compiled, "_library", builds[which]):
                started = time.process_time()
                work()
                times[which].append(time.process_time() - started)
    first, second = (values[WARM_UP:] for values in times)
    ratios = sorted(b / a for a, b in zip(first, second, strict=True))
    outside = int(binom.ppf(0.025, turns, 0.5))
    return {
        "cpu_milliseconds": [round(1000 * statistics.median(values), 2) for values in (first, second)],
        "second_over_first": round(statistics.median(ratios), 4),
        "interval": [round(ratios[outside - 1], 4), round(ratios[-outside], 4)],
    }


def training() -> Callable[[], object]:
    """Returns a training step on random symbols."""
    recipe = find_recipe("default")
    model, vocabulary = new_model()
    ids = np.random.default_rng(0).integers(4, len(vocabulary), LANES * BLOCK * 1000).astype(np.uint8)
    trainer = Trainer(model.train(), Lanes(ids, lanes=LANES, steps=BLOCK), recipe, precision="bf16")
    trainer.schedule = Schedule.of(10**6)
    return trainer.advance


def writing() -> Callable[[], object]:
    """Returns a function that writes `WRITTEN` symbols."""
    model, vocabulary = new_model()
    trained = TrainedModel(Artefact(model.eval(), vocabulary, {"name": "default"}, {}))
    return lambda: trained.write("a", length=WRITTEN, ignore_end=True)


def new_model() -> tuple[LanguageModel, Vocabulary]:
    torch.manual_seed(0)
    vocabulary = Vocabulary.of_text(ALPHABET, "characters")
    return LanguageModel(find_recipe("default").model_config(len(vocabulary))), vocabulary


if __name__ == "__main__":
    main()
