"""How many symbols a second does scoring process, and how far is the fast score from the exact one?

    python benchmarks/score_speed.py MODEL TEXT

MODEL is a model file made by `onward train`, TEXT a file of about a million symbols. Both ways run in turns,
and the figures are medians. The exact way scores the start of the text only; the fast way scores it too, to
compare.
"""

import statistics
import time

from onward.inference.trained_model import TrainedModel
from record import command_line, record

TURNS = 3
EXACT = 100_000
"""Number of characters to score exactly."""


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    arguments = parser.parse_args()
    trained = TrainedModel.load(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")
    part = text[:EXACT]
    ways = {"quick": (text, None), "exact": (part, 1), "memory": (part, 1), "quick_of_part": (part, None)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    nats: dict[str, float] = {}
    symbols: dict[str, int] = {}
    trained.score(text[: EXACT // 2])
    for _ in range(TURNS):
        for name, (part, lanes) in ways.items():
            started = time.perf_counter()
            score = (
                trained.score(part, learn="memory") if name == "memory" else trained.score(part, lanes=lanes)
            )
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
                name: round(symbols[name] / statistics.median(seconds[name]))
                for name in ("quick", "exact", "memory")
            },
            "relative_difference": abs(nats["quick_of_part"] / nats["exact"] - 1),
        },
    )


if __name__ == "__main__":
    main()
