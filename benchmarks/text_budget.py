"""How well does a model learn a text in a few minutes, compared with a plain LSTM in the same time?

    python benchmarks/text_budget.py tinyshakespeare --minutes 3
    python benchmarks/text_budget.py nietzsche --minutes 5

Runs `onward train` on the first part of the text, with start-up and validation included in the minutes, and
scores the rest with `onward score`. Then the LSTM (two layers of torch.nn.LSTM with about as many parameters,
and AdamW) trains on the same part for the same seconds.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from plain_lstm import PlainLSTM
from record import command_line, record


class Corpus(NamedTuple):
    """A text: its file, the training share, lower-casing, and changes to the recipe."""

    file: str
    share: float
    lower: bool
    settings: tuple[str, ...]


DATA = Path(os.environ.get("ONWARD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
CORPORA = {
    "tinyshakespeare": Corpus("tinyshakespeare/input.txt", 0.9, False, ("validation=0", "dropout=0.15")),
    "nietzsche": Corpus(
        "nietzsche/nietzsche.txt", 0.8, True, ("validation=0.02", "dropout=0.25", "noise=0.03")
    ),
}
"""The splits are those of the published results.

For tinyshakespeare nothing is held out for validation: the last twentieth of the training part is the start
of the play that the test part continues. Three minutes are about five epochs of it. Five minutes are eighteen
epochs of nietzsche, so that it needs dropout, noise, and a held-out part to fit the temperature.
recipe_search.py found the values.
"""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="replaces a setting of the corpus"
    )
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder to keep the model in")
    options = parser.parse_args()
    training, held_out = halves(options.corpus)
    chosen = CORPORA[options.corpus].settings if options.set is None else ("validation=0", *options.set)
    settings = [
        part for name, value in dict(map(pair, chosen)).items() for part in ("--set", f"{name}={value}")
    ]
    arguments = ["--minutes", options.minutes, "--recipe", options.recipe, *settings]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = train_and_score(folder, training, held_out, arguments)
    if not options.no_peer:
        peer = PlainLSTM(training, parameters=figures["parameters"])
        figures["peer"] = peer.train(seconds=figures["seconds"]) | peer.score(held_out, cold=256)
    named = {"corpus": options.corpus, "minutes": options.minutes, "recipe": options.recipe}
    record("text_budget", {**named, "options": settings, **figures})


def pair(setting: str) -> tuple[str, str]:
    """Splits NAME=VALUE."""
    name, _, value = setting.partition("=")
    return name, value


def halves(corpus: str) -> tuple[str, str]:
    """Returns the training text and the test text."""
    file, share, lower, _ = CORPORA[corpus]
    text = (DATA / file).read_text(encoding="utf-8")
    text = text.lower() if lower else text
    cut = int(share * len(text))
    return text[:cut], text[cut:]


def train_and_score(folder: Path, training: str, held_out: str, arguments: list[object]) -> dict[str, Any]:
    """Runs `onward train` and `onward score` as processes; returns their figures."""
    source, rest, model = folder / "training.txt", folder / "held_out.txt", folder / "model.onward"
    source.write_text(training, encoding="utf-8", newline="")
    rest.write_text(held_out, encoding="utf-8", newline="")
    started = time.perf_counter()
    trained = onward("train", source, "-o", model, *arguments)
    seconds = time.perf_counter() - started
    streaming = onward("score", model, rest, "--exact")
    cold = onward("score", model, rest, "--cold", "256")
    return {
        "parameters": trained["parameters"],
        "steps": trained["steps"],
        "symbols_trained": trained["symbols"],
        "seconds": round(seconds, 1),
        "streaming_nats_per_symbol": round(streaming["nats_per_symbol"], 4),
        "cold_256_nats_per_symbol": round(cold["nats_per_symbol"], 4),
    }


def onward(*arguments: object) -> dict:
    """Runs a command with `--json`; returns its object."""
    command = [sys.executable, "-m", "onward", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
