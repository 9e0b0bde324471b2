"""How well does a text model do after so many minutes, beside a plain peer given the same time?

    python benchmarks/text_budget.py tinyshakespeare --minutes 3
    python benchmarks/text_budget.py nietzsche --minutes 5

Runs `onward train` as a user would, start-up and validation included in the minutes, on the first part of
the text; scores the rest with `onward score`, which training never saw. Then the peer (a plain two-layer
torch.nn.LSTM of about as many parameters, AdamW, no tricks) trains on the same part for the same seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plain_lstm import PlainLSTM
from record import record

DATA = Path(os.environ.get("ONWARD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
CORPORA = {
    "tinyshakespeare": ("tinyshakespeare/input.txt", 0.9, False, ["--set", "validation=0"]),
    "nietzsche": ("nietzsche/nietzsche.txt", 0.8, True, ["--set", "validation=0", "--set", "dropout=0.25"]),
}
"""File, share that is trained on, whether it is lower-cased (the splits of the published results), options.

Nothing more is held out, since the text is judged by its end anyhow: the last twentieth of the training
part begins the play that the judged part goes on with. Five minutes are nine epochs of the shorter text,
which calls for dropout.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder that the model is left in")
    options = parser.parse_args()
    file, share, lower, extra = CORPORA[options.corpus]
    text = (DATA / file).read_text(encoding="utf-8")
    text = text.lower() if lower else text
    cut = int(share * len(text))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = train_and_score(folder, text[:cut], text[cut:], options, extra)
    if not options.no_peer:
        peer = PlainLSTM(text[:cut], parameters=figures["parameters"])
        figures["peer"] = peer.train(seconds=figures["seconds"]) | peer.score(text[cut:], cold=256)
    record("text_budget", {"corpus": options.corpus, "minutes": options.minutes, **figures})


def train_and_score(
    folder: Path, training: str, held_out: str, options: argparse.Namespace, extra: list[str]
) -> dict:
    """The figures of `onward train` and `onward score`, each a process of its own."""
    source, rest, model = folder / "training.txt", folder / "held_out.txt", folder / "model.onward"
    source.write_text(training, encoding="utf-8", newline="")
    rest.write_text(held_out, encoding="utf-8", newline="")
    started = time.perf_counter()
    minutes = str(options.minutes)
    trained = onward("train", source, "-o", model, "--minutes", minutes, "--recipe", options.recipe, *extra)
    seconds = time.perf_counter() - started
    streaming = onward("score", model, rest, "--exact")
    cold = onward("score", model, rest, "--cold", "256")
    return {
        "recipe": options.recipe,
        "options": extra,
        "parameters": trained["parameters"],
        "steps": trained["steps"],
        "symbols_trained": trained["symbols"],
        "seconds": round(seconds, 1),
        "streaming_nats_per_symbol": round(streaming["nats_per_symbol"], 4),
        "cold_256_nats_per_symbol": round(cold["nats_per_symbol"], 4),
    }


def onward(*arguments: object) -> dict:
    """What a command of onward printed with --json."""
    command = [sys.executable, "-m", "onward", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
