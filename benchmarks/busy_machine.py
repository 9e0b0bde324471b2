"""How much longer do commands take beside another busy process?

    python benchmarks/busy_machine.py TEXT [--source FOLDER] [--turns 3]

Runs `onward train`, `onward score` and `onward write`, with one thread and with two, in three ways: alone;
beside a process that computes all the time; and beside such a process in a session of its own, like one of
another terminal or a service (Linux first divides a processor between sessions). FOLDER is the `src` of
another version of onward. A command is stopped after LIMIT_SECONDS. The figures are medians, with start-up.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from record import command_line, record

THREADS = (1, 2)
WAYS = ("alone", "beside_a_busy_process", "beside_a_busy_session")
SYMBOLS = 300_000
LIMIT_SECONDS = 120.0
TRAIN = ("train", "text.txt", "-o")
COMMANDS = {
    "training, tiny, 100 steps": [*TRAIN, "tiny.onward", "--recipe", "tiny", "--steps", "100"],
    "training, 15 steps": [*TRAIN, "default.onward", "--steps", "15"],
    "scoring 300,000 symbols": ["score", "default.onward", "text.txt"],
    "writing 32 samples of 500 symbols": ["write", "default.onward", "--samples", "32", "--length", "500"],
}
BUSY = [sys.executable, "-c", "while True: pass"]


def main() -> None:
    parser = command_line(__doc__, "text")
    parser.add_argument("--source", type=Path, help="src of another version")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = options.text.read_text(encoding="utf-8")[:SYMBOLS]
        Path(folder, "text.txt").write_text(text, encoding="utf-8")
        runs = [seconds_of_commands(Path(folder), options.source) for _ in range(options.turns)]
    seconds = {
        name: {way: round(statistics.median(run[name][way] for run in runs), 2) for way in WAYS}
        for name in runs[0]
    }
    ratios = {
        name: {way: round(of_way[way] / of_way["alone"], 2) for way in WAYS[1:]}
        for name, of_way in seconds.items()
    }
    source = options.source.resolve().parent.name if options.source else ""
    record("busy_machine", {"source": source, "seconds": seconds, "times_as_long": ratios})


def seconds_of_commands(folder: Path, source: Path | None) -> dict[str, dict[str, float]]:
    """Returns the seconds of each command with each number of threads, in each way."""
    return {
        f"{name}, threads: {threads}": {way: seconds(command, threads, way, folder, source) for way in WAYS}
        for name, command in COMMANDS.items()
        for threads in THREADS
    }


def seconds(command: list[str], threads: int, way: str, folder: Path, source: Path | None) -> float:
    """Returns the seconds of a command, at most LIMIT_SECONDS."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    environment = inherited | {"OMP_NUM_THREADS": str(threads)}
    if source:
        environment["PYTHONPATH"] = str(source.resolve())
    with neighbour(way):
        started = time.perf_counter()
        try:
            subprocess.run(
                [sys.executable, "-m", "onward", *command],
                cwd=folder, env=environment, timeout=LIMIT_SECONDS, capture_output=True, check=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return LIMIT_SECONDS
        return time.perf_counter() - started


@contextmanager
def neighbour(way: str) -> Iterator[None]:
    """Runs a busy process, unless the command is to run alone."""
    if way == "alone":
        yield
        return
    with subprocess.Popen(BUSY, start_new_session=way == "beside_a_busy_session") as busy:
        try:
            yield
        finally:
            busy.kill()


if __name__ == "__main__":
    main()
