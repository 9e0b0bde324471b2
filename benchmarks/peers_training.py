"""How many symbols a second does training process, compared with other libraries?

    make bench-peers

Each side is a process of its own. The sides run a few steps in turns, and the figures are medians. onward
runs the whole steps of `onward train` (forward, backward, clipping, optimiser) with the recipes `lstm` and
`default`. The others are two layers of equal width in torch.nn.LSTM, torch.nn.GRU (width 448), Keras 3
(stateful, on JAX and on torch) and minGRU-pytorch, with AdamW. All read the same lanes. A side that fails is
recorded with its error.
"""

import json
import statistics
import subprocess

from record import command_line, record
from sides import HERE, Side, onward_side, spread

SYMBOLS, LANES, STEPS = 69, 32, 128
SIDES: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "onward default": ("onward", ["default"], {}),
    "onward lstm": ("onward", ["lstm"], {}),
    "torch LSTM bf16": ("lstm", ["--precision", "bf16"], {}),
    "torch LSTM fp32": ("lstm", [], {}),
    "torch GRU bf16": ("gru", ["--precision", "bf16"], {}),
    "torch GRU fp32": ("gru", [], {}),
    "minGRU-pytorch bf16": ("mingru", ["--precision", "bf16"], {}),
    "minGRU-pytorch fp32": ("mingru", [], {}),
    "Keras LSTM on JAX": ("keras", [], {"KERAS_BACKEND": "jax"}),
    "Keras LSTM on JAX bf16": ("keras", ["--precision", "bf16"], {"KERAS_BACKEND": "jax"}),
    "Keras LSTM on torch": ("keras", [], {"KERAS_BACKEND": "torch"}),
}


def side_of(name: str, peers: str) -> Side:
    """Starts a side; `peers` is the Python of the other libraries' environment."""
    kind, more, environment = SIDES[name]
    sizes = SYMBOLS, LANES, STEPS
    if kind == "onward":
        (recipe,) = more
        return onward_side(name, recipe, sizes, environment)
    command = [peers, str(HERE / "peers_worker.py"), kind, *map(str, sizes), *more]
    return Side(name, command, environment)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--peers", required=True, help="the Python of the environment of peers.txt")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="steps in each turn")
    options = parser.parse_args()
    sides = [side_of(name, options.peers) for name in SIDES]
    failed = [side for side in sides if "error" in side.facts]
    going = [side for side in sides if side not in failed]
    for _ in range(options.turns):
        for side in going:
            side.step(options.steps)
    for side in sides:
        side.end()
    speeds = {side.name: LANES * STEPS / statistics.median(side.seconds) for side in going}
    lstm = speeds["onward lstm"]
    record(
        "peers_training",
        {
            "symbols_per_step": LANES * STEPS,
            "parameters": {side.name: side.facts["parameters"] for side in going},
            "symbols_per_second": {name: round(speed) for name, speed in speeds.items()},
            "spread": {side.name: spread(side.seconds) for side in going},
            "onward_lstm_is_times": {
                name: round(lstm / speed, 2) for name, speed in speeds.items() if name != "onward lstm"
            },
            "failed": {side.name: side.facts["error"] for side in failed},
        },
        packages=packages(options.peers),
    )


def packages(python: str) -> dict[str, str]:
    """Returns the versions of the other libraries."""
    names = ("keras", "jax", "minGRU-pytorch")
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    return json.loads(subprocess.run([python, "-c", code], capture_output=True, check=True).stdout)


if __name__ == "__main__":
    main()
