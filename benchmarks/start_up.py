"""How long does a command take to start, when all its files are in memory?

    python benchmarks/start_up.py MODEL

Runs `onward --help`, and `onward write` to its first character, several times, each in a process of its
own. The figures are medians.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from record import command_line, record

TURNS = 9


def main() -> None:
    parser = command_line(__doc__, "model")
    model = parser.parse_args().model
    onward = Path(sys.executable).with_name("onward")
    commands = {"help": [onward, "--help"], "write": [onward, "write", model, "--length", "50"]}
    seconds = {
        name: [first_character(command) for _ in range(TURNS + 1)][1:] for name, command in commands.items()
    }
    record(
        "start_up", {f"{name}_seconds": round(statistics.median(each), 3) for name, each in seconds.items()}
    )


def first_character(command: list[str | Path]) -> float:
    """Returns the seconds from the start of a process to its first output."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout
        if not child.stdout.read(1):
            raise SystemExit(f"{command} printed nothing")
        seconds = time.perf_counter() - started
        child.stdout.read()
    return seconds


if __name__ == "__main__":
    main()
