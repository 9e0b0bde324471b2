"""Does the plain command train as well as the best of many trials with hyperparameters set by hand?

    python benchmarks/recipe_trials.py [TEXT ...] [--symbols 500000] [--trials 20]

For each text of `corpora.py`, the plain run has the settings that `rule.py` chooses for a budget of a number
of symbols. Each trial has settings drawn at random from `CHOICES`, and trains on at most as many symbols,
which takes about as many seconds. All models score the continuation of the text in one pass. The best trial
is chosen on the continuation, which favours the trials.

The texts take turns, so that a run that is stopped has about as many trials for each. A run continues where
an earlier one stopped: a trial that is in results/recipe_trials.jsonl is not made again.
"""

import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import onward
from corpora import CONFIRM, SEARCH
from onward.data.corpus import find_sources
from onward.data.encoded import encode_corpus
from onward.training.base import choose_base
from onward.training.rule import Text, choose_lanes, most_passes
from onward.training.split import split_corpus
from recipe_search import steps_for, trial
from record import RESULTS, command_line, record

TEXTS = SEARCH | CONFIRM
DEFAULT = onward.find_recipe("default", {})
CHOICES: dict[str, list[Any]] = {
    "base": ["auto", "auto", "auto", "none"],
    "passes": [1, 2, 4, 8, 16],
    "lanes": [8, 16, 32, 64],
    "dropout": [0.0, 0.1, 0.2, 0.3],
    "noise": [0.0, 0.0, 0.03],
    "rates": [0.05, 0.1, 0.2, 0.4, 0.7, 1.0],
    "warm_up": [10, 50],
}
"""Values of each setting. `passes` over the text are at most those of the budget; `rates` are a share of the
recipe's learning rates."""

PLAIN = "plain"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("texts", nargs="*", help=", ".join(TEXTS), metavar="TEXT")
    parser.add_argument("--symbols", type=int, default=500_000, help="number of symbols to train on, at most")
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args()
    if unknown := set(options.texts) - set(TEXTS):
        parser.error(f"expected texts of corpora.py ({', '.join(TEXTS)}), got {', '.join(sorted(unknown))}")
    done = recorded(options.symbols)
    for number in range(-1, options.trials):
        for text in options.texts or TEXTS:
            name = PLAIN if number < 0 else f"trial {number}"
            if (text, name) not in done:
                run(text, name, options.symbols)


def run(text: str, name: str, most_symbols: int) -> None:
    """Trains and scores the plain run or one trial of a text, and records it."""
    training, continuation = TEXTS[text].parts()
    if name == PLAIN:
        steps, changes = plain_steps(training, most_symbols), {}
    else:
        drawn = {of: random.Random(f"{text} {name} {of}").choice(values) for of, values in CHOICES.items()}
        symbols = min(most_symbols, round(drawn.pop("passes") * len(training)))
        rates = drawn.pop("rates")
        changes = drawn | {"rate": DEFAULT.rate * rates, "muon_rate": DEFAULT.muon_rate * rates}
        steps = steps_for(symbols, onward.find_recipe("default", changes))
    figures = trial(training, continuation, steps, "default", changes)
    about = {"text": text, "run": name, "most_symbols": most_symbols, "characters": len(training)}
    record("recipe_trials", about | {"changes": changes} | figures)


def plain_steps(training: str, most_symbols: int) -> int:
    """Returns how many steps the plain command makes, if its minutes suffice for `most_symbols`."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.txt"
        source.write_text(training, encoding="utf-8", newline="")
        corpus = encode_corpus(find_sources([source]), DEFAULT.encoding)
    base = choose_base(corpus, DEFAULT, {})
    text = Text(len(split_corpus(corpus, DEFAULT).training), base and base.nats_per_symbol)
    of_a_step = choose_lanes(DEFAULT, text) * DEFAULT.block
    return max(1, math.ceil(min(most_symbols, most_passes(text) * text.symbols) / of_a_step))


def recorded(most_symbols: int) -> set[tuple[str, str]]:
    """Returns the texts and names of the runs in the results."""
    path = RESULTS / "recipe_trials.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {(line["text"], line["run"]) for line in lines if line["most_symbols"] == most_symbols}


if __name__ == "__main__":
    main()
