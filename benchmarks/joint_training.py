"""How long is a training step with several processes, and do they write the same bytes?

    python benchmarks/joint_training.py TEXT [--steps 60] [--turns 3] [--lanes 64]

Trains the default recipe with new weights on TEXT: with one shard; and with four shards in one process, and
in the processes of torchrun on this machine, which exchange tensors by gloo. Processes with shards compute on
one thread each, the run with one shard on all cores. A step's time is what the run reports at its last step:
the median of 15 steps. The exchange of the gradients and the message before each step are timed alone too.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from onward.outputs import log_path
from onward.scale.torchrun import process_group
from record import command_line, record

GRADIENTS = 2_400_000
"""Values, as many as the default model has parameters."""

WARM_UP, TIMES = 3, 20
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"]
ALONE = "1 shard, without torchrun"
SIDES = {
    ALONE: [sys.executable],
    "4 shards, 1 process": [*LAUNCHER, "1"],
    "4 shards, 2 processes": [*LAUNCHER, "2"],
    "4 shards, 4 processes": [*LAUNCHER, "4"],
}


def main() -> None:
    if sys.argv[1:2] == ["--live"]:
        time_exchange(Path(sys.argv[2]))
        return
    parser = command_line(__doc__, "text")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--lanes", type=int, default=64)
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    settings = ["--steps", str(options.steps), "--lanes", str(options.lanes)]
    milliseconds: dict[str, list[float]] = {name: [] for name in SIDES}
    digests: dict[str, set[str]] = {name: set() for name in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.turns):
            for name, launcher in SIDES.items():
                output = Path(folder, "m.onward")
                train(launcher, options.text, output, settings)
                milliseconds[name].append(step_of(log_path(output)))
                digests[name].add(hashlib.sha256(output.read_bytes()).hexdigest())
        exchange = {count: exchange_of(count, Path(folder, "exchange")) for count in ("2", "4")}
    joint = set[str]().union(*(found for name, found in digests.items() if name != ALONE))
    record(
        "joint_training",
        {
            "lanes": options.lanes,
            "steps": options.steps,
            "load_before": load,
            "milliseconds": {name: round(statistics.median(each), 1) for name, each in milliseconds.items()},
            "spread": {name: [min(each), max(each)] for name, each in milliseconds.items()},
            "same_bytes": len(joint) == 1,
            "exchange_milliseconds": exchange,
        },
    )


def train(launcher: list[str], text: Path, output: Path, settings: list[str]) -> None:
    """Trains a model in processes of their own, with the threads that they choose."""
    fixed = ["--base", "none", "--precision", "fp32", "--dropout", "0.1", "--noise", "0"]
    command = [*launcher, "-m", "onward", "train", str(text), "-o", str(output), *fixed, *settings]
    subprocess.run(command, env=environment(), capture_output=True, check=True)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OMP")}


def step_of(log: Path) -> float:
    """Returns the milliseconds of a step that a log reports for the last step."""
    events = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    last = [event for event in events if event["event"] == "stepped"][-1]
    return round(1000 * last["symbols"] / last["step"] / last["symbols_per_second"], 1)


def exchange_of(processes: str, result: Path) -> dict[str, float]:
    """Returns the milliseconds of the two exchanges of a step, in this number of processes."""
    command = [*LAUNCHER, processes, __file__, "--live", str(result)]
    subprocess.run(command, env=environment(), capture_output=True, check=True)
    return json.loads(result.read_text(encoding="utf-8"))


def time_exchange(result: Path) -> None:
    """Runs in the processes of torchrun: times what they exchange in each step."""
    gradients = [torch.ones(GRADIENTS)]
    with process_group() as group:
        found = {
            "gradients": median_of(lambda: group.all_reduce(gradients)),
            "message": median_of(lambda: group.receive() if group.rank else group.broadcast("a step")),
        }
        if group.rank == 0:
            result.write_text(json.dumps(found), encoding="utf-8")


def median_of(action: Callable[[], Any]) -> float:
    """Returns the median milliseconds of an action."""
    durations = []
    for _ in range(WARM_UP + TIMES):
        started = time.perf_counter()
        action()
        durations.append(time.perf_counter() - started)
    return round(1000 * statistics.median(durations[WARM_UP:]), 2)


if __name__ == "__main__":
    main()
