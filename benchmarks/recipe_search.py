"""How do hyperparameters affect the loss on texts of many kinds?

    python benchmarks/recipe_search.py Chinese --passes 8 --set dropout=0.3 --set lanes=16 --set 'base="none"'

Trains on a text of `corpora.py`, or on its first characters alone, and scores its continuation in one pass.
Runs with the same number of symbols take about the same time. LOG.md has the conclusions.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import onward
from corpora import CONFIRM, SEARCH
from record import command_line, record

TEXTS = SEARCH | CONFIRM


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("text", choices=TEXTS)
    parser.add_argument("--characters", type=int, help="length of the text to train on")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--symbols", type=int, help="number of symbols to train on in all")
    length.add_argument("--passes", type=float, help="number of passes over the text")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    changes = {name: json.loads(value) for name, _, value in (each.partition("=") for each in options.set)}
    training, continuation = TEXTS[options.text].parts(options.characters)
    symbols = options.symbols or round(options.passes * len(training))
    steps = steps_for(symbols, onward.find_recipe(options.recipe, changes))
    figures = trial(training, continuation, steps, options.recipe, changes)
    about = {"text": options.text, "characters": len(training), "recipe": options.recipe, "changes": changes}
    record("recipe_search", about | figures)


def steps_for(symbols: int, recipe: onward.Recipe) -> int:
    """Returns the number of steps that train on a number of symbols."""
    return max(1, symbols // (recipe.lanes * recipe.block))


def trial(
    training: str, continuation: str, steps: int, recipe: str, changes: dict[str, Any]
) -> dict[str, Any]:
    """Returns the loss of a recipe with changes, trained for a number of steps."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.txt"
        source.write_text(training, encoding="utf-8", newline="")
        started = time.perf_counter()
        model = onward.train(source, steps=steps, recipe=recipe, **changes)
        seconds = time.perf_counter() - started
    facts = model.artefact.facts
    return {
        "steps": steps,
        "symbols": facts["symbols"],
        "epochs": facts["epochs"],
        "best_step": facts["best_step"],
        "seconds": round(seconds, 1),
        "held_out_nats_per_symbol": round(facts["validation"]["nats_per_symbol"], 4),
        "nats_per_symbol": round(model.score(continuation).nats_per_symbol, 4),
    }


if __name__ == "__main__":
    main()
