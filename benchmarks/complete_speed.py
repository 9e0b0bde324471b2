"""How long does it take to find the ten likeliest words after a key, in this process?

    python benchmarks/complete_speed.py MODEL TEXT [--keys 2000] [--n 10]

MODEL is a model file made by `onward train`, TEXT a file that it was not trained on. TEXT is typed key by key
into one session. The time of a key includes feeding it and finding the completions. The first 100 keys are a
warm-up. Each is measured without and with the default memory. One core.
"""

import time
from itertools import product

import numpy as np
import torch

from onward.inference.trained_model import TrainedModel
from onward.memory.layout import MEGABYTES
from record import command_line, record

WARM_UP = 100


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--keys", type=int, default=2000)
    parser.add_argument("--n", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")[: arguments.keys + WARM_UP]
    for weights, memory in product(("fp32", "bf16"), (0, MEGABYTES)):
        session = trained.session(weights=weights, memory=memory)
        seconds, steps, exact = [], [], []
        for key in text:
            started = time.perf_counter()
            session.feed(key)
            found = session.complete(n=arguments.n)
            seconds.append(time.perf_counter() - started)
            steps.append(found.steps)
            exact.append(found.exact)
        milliseconds = np.array(seconds[WARM_UP:]) * 1e3
        record(
            "complete_speed",
            {
                "weights": weights,
                "memory_megabytes": memory,
                "parameters": trained.model.parameter_count(),
                "n": arguments.n,
                "keys": len(milliseconds),
                "p50_milliseconds": round(float(np.median(milliseconds)), 2),
                "p95_milliseconds": round(float(np.quantile(milliseconds, 0.95)), 2),
                "p99_milliseconds": round(float(np.quantile(milliseconds, 0.99)), 2),
                "median_steps": float(np.median(steps[WARM_UP:])),
                "share_exact": round(float(np.mean(exact[WARM_UP:])), 3),
            },
        )


if __name__ == "__main__":
    main()
