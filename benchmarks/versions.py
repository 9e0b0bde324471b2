"""Is this version slower than another one, and does it still train the same bytes?

    python benchmarks/versions.py OLD [--turns 7]

OLD is a checkout of another version, with its kernels built (`make setup` there). A process of each version
does the same work through the public interface: train 40 steps of the default recipe on the built-in corpus
without held-out text, write, score, and complete (without a memory) with one model file. The two take turns,
so that other load affects both alike. The figures are medians of the seconds that passed, and of the seconds
that the processor computed. A ratio above 1 means that this version is slower. On a busy machine, compare the
processor's seconds with OMP_NUM_THREADS=1.
"""

import argparse
import contextlib
import functools
import hashlib
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onward

HERE = Path(__file__).resolve().parents[1]
STEPS, LETTERS, SCORED, WORDS = 40, 20_000, 200_000, 100
TASKS = ("train", "write", "score", "complete")
CLOCKS = {"seconds": time.perf_counter, "processor_seconds": time.process_time}
SETTINGS = {"width": 256, "lanes": 64, "dropout": 0.0, "noise": 0.0, "validation": 0, "precision": "fp32"}
"""Settings for all versions, whose own choices differ. A run with a width begins with new weights."""

WARM_UP = 1
"""Number of warm-up turns."""


def main() -> None:
    from record import record  # noqa: PLC0415 - the workers do without it

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="a checkout of another version")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        model = Path(folder) / "model.onward"
        workers = {
            name: stack.enter_context(Worker(checkout, model))
            for name, checkout in (("old", options.old.resolve()), ("new", HERE))
        }
        results = [worker.ask("results") for worker in workers.values()]
        measured = measure(workers, options.turns)
    medians = {
        clock: {
            task: {
                name: statistics.median(values[clock] for values in of_name) for name, of_name in of.items()
            }
            for task, of in measured.items()
        }
        for clock in CLOCKS
    }
    ratios = {
        clock: {task: round(both["new"] / both["old"], 4) for task, both in of_clock.items()}
        for clock, of_clock in medians.items()
    }
    record(
        "versions",
        {
            "turns": options.turns,
            "threads": os.environ.get("OMP_NUM_THREADS"),
            **medians,
            "new_over_old": ratios,
            "same_results": {name: old == results[1][name] for name, old in results[0].items()},
        },
    )


def measure(workers: "dict[str, Worker]", turns: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Returns the seconds of each task, by version and turn. The versions alternate."""
    measured: dict[str, dict[str, list[dict[str, float]]]] = {
        task: {name: [] for name in workers} for task in TASKS
    }
    for turn in range(WARM_UP + turns):
        order = list(workers) if turn % 2 else list(reversed(workers))
        for task in TASKS:
            for name in order:
                found = workers[name].ask(task)
                if turn >= WARM_UP:
                    measured[task][name].append(found)
    return measured


class Worker:
    """A process that imports onward from a checkout, and does one task at a time."""

    def __init__(self, checkout: Path, model: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "ONWARD_WORKER": str(model)}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def ask(self, task: str) -> dict[str, Any]:
        """Requests a task, and returns the object that the process prints."""
        assert self._process.stdin and self._process.stdout
        print(task, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def work(model: Path) -> None:
    """Does the tasks that arrive on standard input, one per line."""
    import onward  # noqa: PLC0415 - from the checkout in PYTHONPATH

    text = " ".join(_topics())
    beginnings = [text[place : place + 200] for place in range(0, WORDS * 300, 300)]

    @functools.cache
    def trained() -> "onward.TrainedModel":
        return onward.load(model)

    def complete(text: str) -> list[str]:
        has_memory = "memory" in inspect.signature(trained().complete).parameters
        options: dict[str, Any] = {"memory": 0} if has_memory else {}
        return [each.text for each in trained().complete(text, **options)]

    tasks: dict[str, Callable[[], object]] = {
        "train": lambda: onward.train("pydoc", steps=STEPS, **SETTINGS),
        "write": lambda: trained().write("The ", length=LETTERS, seed=0),
        "score": lambda: trained().score(text[:SCORED]),
        "complete": lambda: [complete(beginning) for beginning in beginnings],
    }

    def results() -> dict[str, str]:
        """Returns the results of the tasks, as hashes and digits that must be equal."""
        fresh = onward.train("pydoc", steps=STEPS, **SETTINGS)
        if not model.exists():
            onward.train("pydoc", steps=STEPS, output=model, **SETTINGS)
        return {
            "weights": _digest(fresh),
            "written": trained().write("The ", length=200, seed=0),
            "nats": repr(trained().score(text[:SCORED], lanes=1).nats),
            "completions": repr([complete(text) for text in beginnings]),
        }

    def timed(task: Callable[[], object]) -> dict[str, float]:
        """Returns by how much each clock advances during a task."""
        started = {name: clock() for name, clock in CLOCKS.items()}
        task()
        return {name: clock() - started[name] for name, clock in CLOCKS.items()}

    for line in sys.stdin:
        task = line.strip()
        print(json.dumps(results() if task == "results" else timed(tasks[task])), flush=True)


def _digest(trained: "onward.TrainedModel") -> str:
    found = hashlib.sha256()
    for name, weight in sorted(trained.model.state_dict().items()):
        found.update(name.encode() + weight.detach().numpy().tobytes())
    return found.hexdigest()


def _topics() -> list[str]:
    from pydoc_data.topics import topics  # noqa: PLC0415 - large

    return list(topics.values())


if __name__ == "__main__":
    if worker := os.environ.get("ONWARD_WORKER"):
        work(Path(worker))
    else:
        main()
