"""How much does adapting to a text while reading it improve a model, and what does it cost?

    python benchmarks/adapt.py MODEL SAME OTHER [--characters 20000]

MODEL is a model file made by `onward train`. SAME is a text of the same kind that it was not trained on
(keystrokes.py makes nietzsche.onward and nietzsche.heldout.txt); OTHER is by another author
(tinyshakespeare). The start of each text is scored twice in one pass: by the trained model, and by a model
that adapts with the settings of `onward score --learn weights`. Those settings were chosen on other texts
(see LOG.md). Each block is scored before it is learned. Then the first 2,000 characters are typed key by
key; the time of a key is the time to feed it. One core.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onward.data.named import find_named
from onward.inference.adapt import AdaptOptions
from onward.inference.trained_model import TrainedModel
from record import command_line, record

TYPED = 2_000
"""The number of keys to time."""


def main() -> None:
    parser = command_line(__doc__, "model")
    parser.add_argument("same", help="a file, or the name of a corpus")
    parser.add_argument("other", help="a file, or the name of a corpus")
    parser.add_argument("--characters", type=int, default=20_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    for kind in ("same", "other"):
        name = getattr(arguments, kind)
        path = find_named(name) or Path(name)
        text = path.read_text(encoding="utf-8", errors="replace")[: arguments.characters]
        asked = {"kind": kind, "text": Path(name).name}
        record("adapt", asked | read(trained, text) | typed(trained, text[:TYPED]))


def read(trained: TrainedModel, text: str) -> dict[str, Any]:
    """Returns the mean surprise by the trained model and by the adapting one."""
    static = trained.score(text, lanes=1).nats_per_symbol
    adaptive = trained.score(text, adapt=AdaptOptions()).nats_per_symbol
    return {
        "characters": len(text),
        "static_nats_per_symbol": round(static, 4),
        "adaptive_nats_per_symbol": round(adaptive, 4),
        "change_percent": round(100 * (adaptive / static - 1), 1),
    }


def typed(trained: TrainedModel, text: str) -> dict[str, float]:
    """Returns the seconds for a key with the trained model and with the adapting one."""
    milliseconds: dict[str, np.ndarray] = {}
    for name in ("static", "adaptive"):
        session = trained.session(memory=0)
        if name == "adaptive":
            session.adapt()
        taken = []
        for key in text:
            started = time.perf_counter()
            session.feed(key)
            taken.append(time.perf_counter() - started)
        milliseconds[name] = np.array(taken) * 1e3
    means = {f"{name}_mean_milliseconds_a_key": round(float(t.mean()), 2) for name, t in milliseconds.items()}
    longest = float(np.quantile(milliseconds["adaptive"], 0.99))
    return means | {"adaptive_p99_milliseconds_a_key": round(longest, 1)}


if __name__ == "__main__":
    main()
