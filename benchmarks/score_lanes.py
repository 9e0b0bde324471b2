"""Do lanes change a score? One text in 1, 7 and 512 lanes: nats, and how far they are from one pass.

    python benchmarks/score_lanes.py MODEL TEXT [--lanes 1 7 512]

MODEL is an artefact of `onward train`, TEXT a file. A lane reads the 1024 symbols before its segment, and a
text of less than 1024 symbols a lane is read in fewer lanes.
"""

import argparse
import time
from pathlib import Path

from onward.inference.trained_model import TrainedModel
from record import record


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
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
