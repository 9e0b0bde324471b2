"""How much does a base model help with a small text?

    python benchmarks/small_texts.py [--minutes 1] [--kinds web chat] [--sizes 20 50]

For each kind and size of text, `onward train TEXT --minutes 1` trains on the text, as a user would type it,
and so does the same command with `--base none`. Both models and the base alone score the continuation of the
text (100,000 characters) in one pass, and complete 5,000 characters of it: three completions are shown, and a
right one is taken with one key (see keystrokes.py).

The base models have not read these texts: `bases/english.py` leaves them out, and the Python code is onward's
own.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onward
from corpora import LONGEST_TEST, data, files_of_onward
from keystrokes import shares_saved, typist
from onward.inference.trained_model import TrainedModel
from record import command_line, record


class Kind(NamedTuple):
    """A kind of text.

    Attributes:
        read: returns a text.
        start: number of its first character to use.
        sizes: numbers of characters to train on, in thousands.
        base: name of the base model for it.
    """

    read: Callable[[], str]
    start: int
    sizes: tuple[int, ...]
    base: str = "english"


KINDS = {
    "web": Kind(data("english/govweb.txt.xz"), 1_000_000, (20, 50)),
    "chat": Kind(data("english/chat_irc.txt.xz"), 0, (20, 50, 200, 1000)),
    "manual": Kind(data("english/techdocs.txt.xz"), 2_000_000, (20, 50, 200, 1000)),
    "novel": Kind(data("english/literature.txt.xz"), 5_000_000, (20, 50, 200)),
    "Python": Kind(files_of_onward, 0, (20, 50, 200, 1000), "python"),
}

TYPED = 5_000
"""Number of characters to complete."""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[20, 50, 200, 1000])
    options = parser.parse_args()
    for name in options.kinds:
        kind = KINDS[name]
        base, text = onward.load(kind.base), kind.read()[kind.start :]
        for size in sorted(set(kind.sizes) & set(options.sizes)):
            training, continuation = text[: 1000 * size], text[1000 * size :][:LONGEST_TEST]
            figures = {
                "base_alone": judged(base, continuation),
                "plain": trained(training, continuation, options.minutes),
                "from_nothing": trained(training, continuation, options.minutes, "--base", "none"),
            }
            about = {"kind": name, "thousand_characters": size, "minutes": options.minutes}
            record("small_texts", about | figures)


def trained(training: str, continuation: str, minutes: float, *options: str) -> dict[str, Any]:
    """Trains on a text by the command line, and returns the figures of the model."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "text.txt"), Path(folder, "model.onward")
        source.write_text(training, encoding="utf-8", newline="")
        command = ["train", source, "-o", output, "--minutes", str(minutes), *options]
        subprocess.run([sys.executable, "-m", "onward", *command], check=True, stderr=subprocess.DEVNULL)
        model = onward.load(output)
    facts, recipe = model.artefact.facts, model.artefact.recipe
    settings = {name: recipe[name] for name in ("lanes", "dropout", "noise")}
    return judged(model, continuation) | {"steps": facts["steps"], "epochs": facts["epochs"], **settings}


def judged(model: TrainedModel, continuation: str) -> dict[str, float]:
    """Returns the loss of a model on a text, and the share of keystrokes that it saves there."""
    saved = shares_saved(continuation[:TYPED], typist(model, adapt=False))["list"]
    loss = model.score(continuation).nats_per_symbol
    return {"nats_per_symbol": round(loss, 4), "keystrokes_saved": round(saved, 4)}


if __name__ == "__main__":
    main()
