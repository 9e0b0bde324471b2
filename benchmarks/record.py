"""Where a benchmark's figures go: one JSON line a run, with the machine, the versions and the date."""

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("onward", "torch", "numpy")


def record(question: str, figures: dict[str, Any], *, packages: dict[str, str] | None = None) -> None:
    """Appends `figures` to results/<question>.jsonl and prints the line.

    Args:
        question: the benchmark's file name without its suffix.
        figures: what was measured; names carry their units (seconds, symbols_per_second, megabytes).
        packages: versions besides those of this environment.
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
    """The processor's name and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {cores} cores"


def megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
