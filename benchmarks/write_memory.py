"""Does writing 200,000 symbols take constant memory?

    python benchmarks/write_memory.py MODEL [--symbols 200000] [--samples 1]

MODEL is a model file made by `onward train`. The text is counted and dropped. Memory is measured after the
first 10,000 symbols and after the last.
"""

import time

from onward.inference.trained_model import TrainedModel
from record import command_line, megabytes, record

FIRST = 10_000


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("--symbols", type=int, default=200_000)
    parser.add_argument("--samples", type=int, default=1)
    arguments = parser.parse_args()
    trained = TrainedModel.load(arguments.model)
    length = -(-arguments.symbols // arguments.samples)
    writer = trained.writer("", arguments.samples, length=length, ignore_end=True)
    started, characters, before = time.perf_counter(), 0, 0.0
    for gained in writer:
        characters += sum(map(len, gained))
        if not before and sum(writer.symbols) >= FIRST:
            before = megabytes()
    after = megabytes()
    seconds = time.perf_counter() - started
    record(
        "write_memory",
        {
            "parameters": trained.model.parameter_count(),
            "layer": trained.model.config.layer,
            "samples": arguments.samples,
            "symbols": sum(writer.symbols),
            "characters": characters,
            "seconds": round(seconds, 1),
            "symbols_per_second": round(sum(writer.symbols) / seconds),
            f"megabytes_after_{FIRST}": round(before, 2),
            "megabytes_after_last": round(after, 2),
            "megabytes_grown": round(after - before, 2),
        },
    )


if __name__ == "__main__":
    main()
