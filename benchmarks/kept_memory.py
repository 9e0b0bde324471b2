"""How much faster is a training step if the process keeps freed memory (`onward.allocator`)?

    python benchmarks/kept_memory.py [--recipe default] [--turns 9]

Two processes run whole steps of `onward train` in turns, one of them with ONWARD_MALLOC=default in its
environment. The figures are median seconds, and the page faults of a step.
"""

import statistics

from record import command_line, record
from sides import onward_side, spread

SIZES = 69, 64, 64
"""Symbols, lanes and steps of a block."""
SIDES = {"kept": {}, "given_back": {"ONWARD_MALLOC": "default"}}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8, help="steps in each turn")
    options = parser.parse_args()
    sides = [onward_side(name, options.recipe, SIZES, environment) for name, environment in SIDES.items()]
    for _ in range(options.turns):
        for side in sides:
            side.step(options.steps)
    for side in sides:
        side.end()
    medians = {side.name: statistics.median(side.seconds) for side in sides}
    record(
        "kept_memory",
        {
            "recipe": options.recipe,
            "symbols_per_step": SIZES[1] * SIZES[2],
            "milliseconds": {name: round(1000 * value, 1) for name, value in medians.items()},
            "spread": {side.name: spread(side.seconds) for side in sides},
            "page_faults_per_step": {side.name: round(side.last["faults"] / options.steps) for side in sides},
            "given_back_takes_times": round(medians["given_back"] / medians["kept"], 3),
        },
    )


if __name__ == "__main__":
    main()
