"""How well does a model learn a text in a few minutes, compared with a plain LSTM in the same time?

    python benchmarks/text_budget.py tinyshakespeare --minutes 3
    python benchmarks/text_budget.py nietzsche --minutes 5

Runs `onward train` on the first part of the text, with start-up and checks included in the minutes, and
scores the rest with `onward score`; then the same with `--base none`. The LSTM (two layers of torch.nn.LSTM
with about as many parameters, and AdamW) trains on the same part for the same seconds.
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
    """A text: its file, the share to train on, and the options of `onward train`."""

    file: str
    share: float
    options: tuple[str, ...] = ()


DATA = Path(os.environ.get("ONWARD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
CORPORA = {
    "tinyshakespeare": Corpus("tinyshakespeare/input.txt", 0.9),
    "nietzsche": Corpus("nietzsche/nietzsche.txt", 0.8, ("--lower",)),
}
"""The splits are those of the published results."""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--only-plain", action="store_true", help="only the plain command")
    parser.add_argument("--keep", type=Path, help="a folder to keep the model of the plain command in")
    options = parser.parse_args()
    training, held_out = parts(options.corpus)
    arguments = ["--minutes", options.minutes, *CORPORA[options.corpus].options]
    with tempfile.TemporaryDirectory() as temporary:
        figures = {"plain": train_and_score(options.keep or Path(temporary), training, held_out, arguments)}
    if not options.only_plain:
        with tempfile.TemporaryDirectory() as temporary:
            from_nothing = [*arguments, "--base", "none"]
            figures["from_nothing"] = train_and_score(Path(temporary), training, held_out, from_nothing)
        peer = PlainLSTM(training, parameters=figures["from_nothing"]["parameters"])
        trained = peer.train(seconds=figures["from_nothing"]["seconds"])
        figures["peer"] = trained | peer.score(held_out, cold=256)
    about = {"corpus": options.corpus, "minutes": options.minutes, "options": CORPORA[options.corpus].options}
    record("text_budget", about | figures)


def parts(corpus: str) -> tuple[str, str]:
    """Returns the training text and the test text."""
    file, share, options = CORPORA[corpus]
    text = (DATA / file).read_text(encoding="utf-8")
    text = text.lower() if "--lower" in options else text
    cut = int(share * len(text))
    return text[:cut], text[cut:]


def train_and_score(folder: Path, training: str, held_out: str, arguments: list[object]) -> dict[str, Any]:
    """Runs `onward train` and `onward score` as processes; returns their figures."""
    folder.mkdir(parents=True, exist_ok=True)
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
