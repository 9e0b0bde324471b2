"""How many symbols a second does scoring read, quick and exact, and how far apart are the two?

    python benchmarks/score_speed.py MODEL TEXT

MODEL is an artefact of `onward train`, TEXT a file of a million symbols or so. Both ways take turns; the
medians count. The exact way reads a part of the text only, which is then scored both ways to compare the
figures.
"""

import argparse
import statistics
import time
from pathlib import Path

from onward.inference.trained_model import TrainedModel
from record import record

TURNS = 3
EXACT = 100_000
"""Characters that are read exactly."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    arguments = parser.parse_args()
    trained = TrainedModel.load(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")
    ways = {"quick": (text, None), "exact": (text[:EXACT], 1), "quick_of_part": (text[:EXACT], None)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    nats: dict[str, float] = {}
    symbols: dict[str, int] = {}
    trained.score(text[: EXACT // 2])
    for _ in range(TURNS):
        for name, (part, lanes) in ways.items():
            started = time.perf_counter()
            score = trained.score(part, lanes=lanes)
            seconds[name].append(time.perf_counter() - started)
            nats[name], symbols[name] = score.nats, score.symbols
    record(
        "score_speed",
        {
            "layer": trained.model.config.layer,
            "parameters": trained.model.parameter_count(),
            "text": arguments.text.name,
            "symbols": symbols["quick"],
            "symbols_per_second": {
                name: round(symbols[name] / statistics.median(seconds[name])) for name in ("quick", "exact")
            },
            "relative_difference": abs(nats["quick_of_part"] / nats["exact"] - 1),
        },
    )


if __name__ == "__main__":
    main()
