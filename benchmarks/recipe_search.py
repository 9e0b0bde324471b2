"""How does a change of the recipe affect the loss, on text that no benchmark reports?

    python benchmarks/recipe_search.py tinyshakespeare --steps 1200 --set dropout=0.1 --set lanes=16

Trains on the first 93 % of the training text of text_budget.py and scores the other 7 %, in one pass and in
cold windows of 256. It never reads the test text of text_budget.py. Compare runs of equal symbols, or of
equal seconds on a quiet machine. LOG.md has the results.
"""

import tempfile
from pathlib import Path

from record import command_line, record
from text_budget import CORPORA, halves, train_and_score

SHARE = 0.93
"""The share of the training text to train on."""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    training, _ = halves(options.corpus)
    cut = int(SHARE * len(training))
    settings = [part for value in ("validation=0", *options.set) for part in ("--set", value)]
    with tempfile.TemporaryDirectory() as folder:
        figures = train_and_score(
            Path(folder),
            training[:cut],
            training[cut:],
            ["--steps", options.steps, "--recipe", options.recipe, *settings],
        )
    record(
        "recipe_search",
        {"corpus": options.corpus, "recipe": options.recipe, "changes": options.set, **figures},
    )


if __name__ == "__main__":
    main()
