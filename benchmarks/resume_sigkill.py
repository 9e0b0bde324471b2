"""Does a run that is killed and resumed end with the same bytes as an undisturbed run?

    python benchmarks/resume_sigkill.py [--kills 20] [--steps 1500] [--layer gated] [--precision bf16]

One process trains on Python's own manual without disturbance. Then others train the same model: each is
killed with SIGKILL at a random moment (in a step, a check, or while it writes a checkpoint), and the next one
resumes. The last one finishes, and the two files are compared. Checkpoints are written every second instead
of every 20, so that short-lived processes make progress.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from onward.outputs import checkpoint_path
from record import command_line, record

SECONDS_BETWEEN_CHECKPOINTS = 1.0
LONGEST_LIFE = 2.5


def run_child(output: Path, settings: dict[str, Any]) -> None:
    """Runs in the child process: starts or resumes the training."""
    import onward  # noqa: PLC0415 - the parent needs none of it
    from onward.training import checkpointer  # noqa: PLC0415
    from onward.training.events import Started  # noqa: PLC0415

    if "frozen" not in Path(onward.__file__).parts:
        raise SystemExit(f"expected the frozen package, got {onward.__file__}")

    def report(event: object) -> None:
        if isinstance(event, Started):
            print(json.dumps({"from_step": event.step}), flush=True)

    checkpointer.SECONDS_BETWEEN_CHECKPOINTS = SECONDS_BETWEEN_CHECKPOINTS
    onward.train("pydoc", output=output, recipe="tiny", resume=True, observer=report, **settings)


def start(output: Path, settings: dict[str, Any]) -> subprocess.Popen[str]:
    """Starts a training process that uses the frozen copy of the package."""
    command = [sys.executable, __file__, "--live", str(output), json.dumps(settings)]
    environment = os.environ | {"PYTHONPATH": str(output.parent.parent / "frozen")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def freeze(folder: Path) -> None:
    """Copies the package, so that edits during the benchmark change no run."""
    spec = importlib.util.find_spec("onward")
    assert spec and spec.origin
    shutil.copytree(Path(spec.origin).parent, folder / "onward")


def wait(child: subprocess.Popen[str]) -> None:
    child.communicate()
    if child.returncode:
        raise SystemExit(f"a run ended with {child.returncode}")


def kill_somewhere(child: subprocess.Popen[str], chance: random.Random) -> int | None:
    """Kills a process at a random moment: one time in ten at its start, else in its training.

    Returns:
        The step from which its training began; None if it was killed before.
    """
    assert child.stdout
    line = "" if chance.random() < 0.1 else child.stdout.readline()
    time.sleep(chance.uniform(0, LONGEST_LIFE))
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    lines = (line + rest).splitlines()
    return json.loads(lines[0])["from_step"] if lines else None


def compare(folder: Path, settings: dict[str, Any], kills: int, seed: int = 0) -> dict[str, Any]:
    """Runs one undisturbed training, and one that is killed up to `kills` times.

    Returns:
        Whether the files are equal, their hashes, the first step of each killed process, and leftover files.
    """
    freeze(folder / "frozen")
    runs = folder / "runs"
    runs.mkdir()
    alone, killed = runs / "alone.onward", runs / "killed.onward"
    wait(start(alone, settings))
    chance, begins = random.Random(seed), []
    while len(begins) < kills and not killed.exists():
        begins.append(kill_somewhere(start(killed, settings), chance))
    if not killed.exists() or checkpoint_path(killed).exists():  # a run that ended cannot be resumed
        wait(start(killed, settings))
    kept = (".onward", ".jsonl", ".png")
    left_over = sorted(path.name for path in runs.iterdir() if path.suffix not in kept)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (alone, killed)]
    return {
        "equal": hashes[0] == hashes[1],
        "sha256": hashes,
        "kills": len(begins),
        "from_steps": begins,
        "left_over": left_over,
    }


def main() -> None:
    options = command_line(__doc__)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--steps", type=int, default=1500)
    options.add_argument("--layer", default="gated")
    options.add_argument("--precision", default="bf16")
    options.add_argument("--live", nargs=2, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.live:
        run_child(Path(asked.live[0]), json.loads(asked.live[1]))
        return
    settings = {"steps": asked.steps, "layer": asked.layer, "precision": asked.precision}
    settings |= {"dropout": 0.1}
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), settings, asked.kills)
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    record("resume_sigkill", {"settings": settings, "threads": threads, **found})
    if not found["equal"]:
        raise SystemExit("the files differ")


if __name__ == "__main__":
    main()
