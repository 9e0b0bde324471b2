"""How much less is a model surprised by a text from which it learns as it reads, and what does that cost?

    python benchmarks/adapt.py MODEL SAME OTHER [--characters 20000]

MODEL is an artefact of `onward train`; SAME is a text of the same kind that it was not trained on (of
keystrokes.py: nietzsche.onward and nietzsche.heldout.txt), OTHER one of another author (tinyshakespeare). The
first characters of each are read twice in one pass, by the model as it is and by one that adapts, with the
settings of `onward score --adapt`. Those were chosen on other texts (see LOG.md). Each block is scored before
it is learned from; nats are means over all characters from the first on. The first 2,000 characters are then
typed key by key, and what a key costs is what feeding it takes. One core.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onward.data.named import find_named
from onward.inference.adapt import AdaptOptions
from onward.inference.trained_model import TrainedModel
from record import record

TYPED = 2_000
"""Keys that are timed."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
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
    """The mean surprise with and without learning."""
    static = trained.score(text, lanes=1).nats_per_symbol
    adaptive = trained.score(text, adapt=AdaptOptions()).nats_per_symbol
    return {
        "characters": len(text),
        "static_nats_per_symbol": round(static, 4),
        "adaptive_nats_per_symbol": round(adaptive, 4),
        "change_percent": round(100 * (adaptive / static - 1), 1),
    }


def typed(trained: TrainedModel, text: str) -> dict[str, float]:
    """What a key takes, with and without learning."""
    milliseconds: dict[str, np.ndarray] = {}
    for name in ("static", "adaptive"):
        session = trained.session()
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
