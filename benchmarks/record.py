"""Common code of the benchmarks: the command line, and the JSON lines with their figures."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("onward", "torch", "numpy")


def command_line(description: str | None, *paths: str) -> argparse.ArgumentParser:
    """A parser whose `--help` is the benchmark's docstring.

    Args:
        description: the benchmark's `__doc__`.
        paths: names of positional arguments that are files or folders.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in paths:
        parser.add_argument(name, type=Path)
    return parser


def record(question: str, figures: dict[str, Any], *, packages: dict[str, str] | None = None) -> None:
    """Appends `figures` to results/<question>.jsonl, with date, machine and versions, and prints the line.

    Args:
        question: the benchmark's file name without its suffix.
        figures: the results; names carry their units (seconds, symbols_per_second, megabytes).
        packages: versions of packages outside this environment.
    """
    line = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | (packages or {})
        | {"python": platform.python_version()},
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{question}.jsonl").open("a") as results:
        results.write(json.dumps(line) + "\n")
    print(json.dumps(line, indent=2))


def machine() -> str:
    """The processor's name and the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {cores} cores"


def megabytes(process: int | str = "self") -> float:
    """Resident memory of a process, by default of this one."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
