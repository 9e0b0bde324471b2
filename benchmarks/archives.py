"""How fast do several workers score an archive, and how much memory does each need?

    python benchmarks/archives.py TEXT [--files 24] [--symbols 150000] [--model english]

Cuts TEXT into compressed files of equal size and scores each: with 1 and with 2 processes of this machine,
and with 2 workers of Ray. The speed is that after start-up: from the moment when each worker has returned its
first file. Efficiency is the speed divided by that of one process and by the number of workers. The start-up
is the time until then, less the time of one file. Memory is the largest resident size of a worker.
"""

import gzip
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from onward.precision import measured_precision
from onward.scale.archives.engine import ArchiveEngine
from onward.scale.archives.processes import Processes
from onward.scale.archives.ray_tasks import RayTasks
from onward.scale.archives.score_files import ScoreFile
from record import command_line, megabytes, record

SIDES: dict[str, tuple[Callable[[], ArchiveEngine], int]] = {
    "1 process": (partial(Processes, 1), 1),
    "2 processes": (partial(Processes, 2), 2),
    "2 workers of Ray": (partial(RayTasks, None, 2), 2),
}


def main() -> None:
    parser = command_line(__doc__, "text")
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--symbols", type=int, default=150_000)
    parser.add_argument("--model", default="english")
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    text = options.text.read_text(encoding="utf-8")
    found: dict[str, dict[str, float]] = {}
    rows: dict[str, list[object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [*write(Path(folder), text, options.files, options.symbols)]
        for name, (engine, workers) in SIDES.items():
            job = ScoreFile(options.model, {}, measured_precision())
            rows[name], found[name] = measure(engine(), job, files, workers)
    alone = found["1 process"]["symbols_per_second"]
    for name, (_, workers) in SIDES.items():
        found[name]["efficiency"] = round(found[name]["symbols_per_second"] / alone / workers, 3)
    record(
        "archives",
        {
            "model": options.model,
            "files": options.files,
            "symbols": options.symbols,
            "load_before": load,
            "equal": all(figures == rows["1 process"] for figures in rows.values()),
            "sides": found,
        },
    )


def write(folder: Path, text: str, files: int, symbols: int) -> Iterator[Path]:
    """Writes compressed files, which begin at different places of the text."""
    text = text * (1 + (files * symbols) // len(text))
    for number in range(files):
        path = folder / f"{number:03}.gz"
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text[number * symbols : (number + 1) * symbols])
        yield path


def measure(
    engine: ArchiveEngine, job: ScoreFile, files: list[Path], workers: int
) -> tuple[list[object], dict[str, float]]:
    """Returns the rows of all files in order, and the speed and memory of an engine."""
    started, ends, memory = time.perf_counter(), list[float](), 0.0
    outcomes = []
    for outcome in engine(job, files):
        outcomes.append(outcome)
        ends.append(time.perf_counter())
        memory = max([memory, *map(megabytes, workers_of_this())])
    outcomes.sort(key=lambda outcome: outcome.number)
    symbols = sum(outcome.result["symbols"] for outcome in outcomes) / len(files)
    seconds = (ends[-1] - ends[workers - 1]) / (len(files) - workers)
    return [outcome.result for outcome in outcomes], {
        "seconds": round(ends[-1] - started, 1),
        "start_seconds": round(ends[workers - 1] - started - workers * seconds, 1),
        "symbols_per_second": round(symbols / seconds),
        "megabytes_per_worker": round(memory),
    }


def workers_of_this() -> Iterator[str]:
    """Yields the ids of the child processes that are workers, and of Ray's workers."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    for process in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            command = Path("/proc", process, "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::") or (process in children and b"spawn_main" in command):
            yield process


if __name__ == "__main__":
    main()
