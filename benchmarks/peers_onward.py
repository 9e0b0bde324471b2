"""onward's side of peers_training.py: whole training steps on random symbols.

    python benchmarks/peers_onward.py RECIPE SYMBOLS LANES STEPS

It has the same protocol as peers_worker.py.
"""

import json
import resource
import sys
import time

from onward.allocator import keep_freed_memory  # isort: skip - before PyTorch, for its threads
import numpy as np
import torch

from onward.data.lanes import Lanes
from onward.model import LanguageModel
from onward.precision import quick_precision
from onward.training.recipe import find_recipe
from onward.training.schedule import Schedule
from onward.training.trainer import Trainer

WARM_UP = 5


def main() -> None:
    name, (symbols, lanes, steps) = sys.argv[1], map(int, sys.argv[2:])
    keep_freed_memory()
    recipe = find_recipe(name)
    torch.manual_seed(0)
    model = LanguageModel(recipe.model_config(symbols)).train()
    ids = np.random.default_rng(0).integers(4, symbols, lanes * steps * 100).astype(np.uint8)
    precision = quick_precision(torch.device("cpu"))
    trainer = Trainer(model, Lanes(ids, lanes=lanes, steps=steps), recipe, precision=precision)
    trainer.schedule = Schedule.of(10**6)
    for _ in range(WARM_UP):
        trainer.advance()
    print(json.dumps({"parameters": model.parameter_count(), "precision": precision}), flush=True)
    for line in sys.stdin:
        started, faults = time.perf_counter(), page_faults()
        for _ in range(int(line)):
            trainer.advance()
        result = {"seconds": time.perf_counter() - started, "faults": page_faults() - faults}
        print(json.dumps(result), flush=True)


def page_faults() -> int:
    """Returns the number of minor page faults of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


if __name__ == "__main__":
    main()
