"""Does the number of lanes change a score?

    python benchmarks/score_lanes.py MODEL TEXT [--lanes 1 7 512]

MODEL is a model file made by `onward train`, TEXT a file. A lane first reads the 1,024 symbols before its
segment. If a lane would have less than 1,024 symbols, there are fewer lanes. The figures are the distances
from one pass.
"""

import time

from onward.inference.trained_model import TrainedModel
from record import command_line, record


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 7, 512])
    arguments = parser.parse_args()
    trained = TrainedModel.load(arguments.model)
    one_pass = trained.score(arguments.text, lanes=1)
    runs = []
    for lanes in arguments.lanes:
        started = time.perf_counter()
        score = trained.score(arguments.text, lanes=lanes)
        seconds = time.perf_counter() - started
        runs.append(
            {
                "lanes": lanes,
                "nats": score.nats,
                "relative_difference": abs(score.nats / one_pass.nats - 1),
                "seconds": round(seconds, 2),
                "symbols_per_second": round(score.symbols / seconds),
            }
        )
    record(
        "score_lanes",
        {
            "text": arguments.text.name,
            "symbols": one_pass.symbols,
            "nats_per_symbol": one_pass.nats_per_symbol,
            "parameters": trained.model.parameter_count(),
            "layer": trained.model.config.layer,
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
