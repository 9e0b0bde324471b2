"""Does the millionth symbol take as long as the thousandth, in writing and in scoring?

    python benchmarks/long_run.py MODEL [--symbols 1000000]

MODEL is a model file made by `onward train`. It writes a million symbols and then scores them, in one lane.
The state is kept after a thousand symbols and at the end. Then the program writes or scores from the two
states in turns, so that other load affects both alike. The figures are medians, and the growth of the
process's memory.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from onward.data.vocabulary import BEGIN
from onward.inference.prediction import initial_state, surprise
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.layers.state import State
from record import command_line, megabytes, record

EARLY, TURNS, WRITTEN, READ = 1000, 61, 400, 1024


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("--symbols", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    figures = {
        "layer": trained.model.config.layer,
        "parameters": trained.model.parameter_count(),
        "symbols": arguments.symbols,
    }
    ids = np.full(arguments.symbols + 1, BEGIN)
    for name, question in (("writing", writing), ("scoring", scoring)):
        figures[name] = question(trained, ids)
    record("long_run", figures)


def writing(trained: TrainedModel, ids: np.ndarray) -> dict[str, float]:
    """Writes ids (N + 1,) after the first; returns the time of a late symbol over that of an early one."""
    stepper = Stepper(trained.model, initial_state(trained.model, 1))
    chances, sampling = np.random.default_rng(0).random((len(ids), 1)), Sampling()

    def write(start: int, stop: int) -> None:
        for at in range(start, stop):
            ids[at + 1] = sampling.draw(stepper.step(ids[at : at + 1]), chances[at])[0]

    def again(state: State) -> None:
        stepper.state = state
        write(0, WRITTEN)

    write(0, EARLY)
    early, before = stepper.state, megabytes()
    write(EARLY, len(ids) - 1)
    late, after = stepper.state, megabytes()
    kept = ids[: WRITTEN + 1].copy()
    found = compared(again, early, late) | {"megabytes_grown": round(after - before, 2)}
    ids[: WRITTEN + 1] = kept
    return found


def scoring(trained: TrainedModel, ids: np.ndarray) -> dict[str, float]:
    """Returns the same ratio for scoring ids (N + 1,)."""
    model, symbols = trained.model, torch.from_numpy(ids)[:, None]

    def read(start: int, stop: int, state: State) -> State:
        for at in range(start, stop, READ):
            part = symbols[at : min(at + READ, stop) + 1]
            _, state = surprise(model, part[:-1], part[1:], state)
        return state

    early = read(0, EARLY, initial_state(model, 1))
    before = megabytes()
    late = read(EARLY, len(ids) - 1, early)
    after = megabytes()
    found = compared(lambda state: read(0, READ, state), early, late)
    return found | {"megabytes_grown": round(after - before, 2)}


def compared(continue_from: Callable[[State], object], early: State, late: State) -> dict[str, float]:
    """Returns the median of late over early seconds, and the spread of that ratio."""
    ratios = []
    for turn in range(TURNS + 1):
        seconds = {}
        for which in (0, 1) if turn % 2 else (1, 0):  # so that neither always runs first
            started = time.perf_counter()
            continue_from(late if which else early)
            seconds[which] = time.perf_counter() - started
        if turn:
            ratios.append(seconds[1] / seconds[0])
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"late_over_early": round(middle, 4), "quartiles_apart": round(high - low, 4)}


if __name__ == "__main__":
    main()
