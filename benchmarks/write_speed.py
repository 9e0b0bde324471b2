"""How many symbols a second does one lane write on one core, compared with the PyTorch model?

    python benchmarks/write_speed.py MODEL TEXT [--symbols 4000] [--long 1000000]

MODEL is a model file made by `onward train`, TEXT a file that it was not trained on. All ways of writing run
in turns, and the figures are medians. The cost of rounded weights is measured on the start of TEXT, symbol by
symbol. With `--long`, one run writes that many symbols, and its last twentieth is compared with its first:
seconds for each symbol, and memory.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onward.data.vocabulary import BEGIN
from onward.inference.prediction import initial_state, predict
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import Stepper
from onward.inference.text_source import open_source
from onward.inference.trained_model import TrainedModel
from onward.layers.kernels import compiled
from record import command_line, megabytes, record

TYPES = ("fp32", "bf16", "int8")
TURNS = 5
SCORED = 20_000


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--long", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    speeds: dict[str, list[float]] = {}
    for _ in range(TURNS):
        speeds.setdefault("plain", []).append(plain(trained, arguments.symbols // 8))
        for weights in TYPES:
            speeds.setdefault(weights, []).append(written(trained, weights, arguments.symbols))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    nats = {weights: surprise(trained, arguments.text, weights) for weights in TYPES}
    figures: dict[str, Any] = {
        "layer": trained.model.config.layer,
        "parameters": trained.model.parameter_count(),
        "symbols": arguments.symbols,
        "symbols_per_second": {name: round(speed) for name, speed in medians.items()},
        "times_plain": {weights: round(medians[weights] / medians["plain"], 2) for weights in TYPES},
        "nats_per_symbol": {name: round(value, 5) for name, value in nats.items()},
        "int8_by_dot_products": compiled.has_dot,
        "nats_lost": {name: round(nats[name] - nats["fp32"], 5) for name in TYPES[1:]},
    }
    if arguments.long:
        figures["long"] = long(trained, arguments.long)
    record("write_speed", figures)


def written(trained: TrainedModel, weights: Any, symbols: int) -> float:
    """Returns the symbols a second of `model.stream`, after the first hundred."""
    started = 0.0
    for number, _ in enumerate(trained.stream(length=symbols + 100, ignore_end=True, weights=weights)):
        if number == 100:
            started = time.perf_counter()
    return symbols / (time.perf_counter() - started)


def plain(trained: TrainedModel, symbols: int) -> float:
    """Returns the symbols a second of a loop that calls the PyTorch model for each symbol."""
    model, sampling = trained.model, Sampling()
    chances = np.random.default_rng(0).random((symbols, 1))
    state, ids = initial_state(model, 1), torch.tensor([[5]])
    for _ in range(20):
        _, state = predict(model, ids, state)
    started = time.perf_counter()
    for chance in chances:
        logits, state = predict(model, ids, state)
        ids = torch.from_numpy(sampling.draw(logits[0].numpy(), chance))[None]
    return symbols / (time.perf_counter() - started)


def surprise(trained: TrainedModel, text: Path, weights: Any) -> float:
    """Returns the mean nats of the start of a text, read symbol by symbol."""
    with open_source(text, trained.vocabulary) as source:
        ids = np.asarray(source.ids[:SCORED]).astype(np.int64)
    stepper = Stepper(trained.model, initial_state(trained.model, 1), weights)
    total = 0.0
    for before, symbol in zip([BEGIN, *ids[:-1].tolist()], ids.tolist(), strict=True):
        logits = stepper.step(np.array([before]))[0].astype(np.float64)
        total += np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[symbol]
    return total / len(ids)


def long(trained: TrainedModel, symbols: int) -> dict[str, float]:
    """Returns the ratio of the time of the last symbols to the first, and the growth of memory."""
    part, times, memory = symbols // 20, [], []
    started = time.perf_counter()
    for number, _ in enumerate(trained.stream(length=symbols, ignore_end=True), 1):
        if number % part == 0:
            times.append(time.perf_counter() - started)
            memory.append(megabytes())
            started = time.perf_counter()
    return {
        "symbols": symbols,
        "last_part_over_first": round(times[-1] / times[0], 3),
        "slowest_part_over_quickest": round(max(times) / min(times), 3),
        "megabytes_grown": round(memory[-1] - memory[0], 2),
    }


if __name__ == "__main__":
    main()
