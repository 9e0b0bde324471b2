"""Processes that run steps in turns, and measure their own time."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Side:
    """A process that runs steps on request.

    Args:
        name: label of its figures.
        command: prints a JSON object when it is ready, then reads numbers of steps from its input, a line
            each, and prints an object with "seconds" for each.
        environment: environment variables, in addition to those of this process.

    Attributes:
        facts: the first object that it printed; {"error": ...} if it ended instead.
        seconds: seconds of a step, one value for each turn.
        last: the last object that it printed.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] = {}) -> None:
        self.name, self.seconds = name, list[float]()
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment},
        )
        self.facts = self.last = self._answer()

    def step(self, count: int) -> None:
        """Runs `count` steps."""
        assert self._child.stdin
        print(count, file=self._child.stdin, flush=True)
        self.last = self._answer()
        self.seconds.append(self.last["seconds"] / count)

    def end(self) -> None:
        self._child.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout
        line = self._child.stdout.readline()
        return json.loads(line) if line else {"error": f"ended with status {self._child.wait()}"}


def onward_side(name: str, recipe: str, sizes: Sequence[int], environment: Mapping[str, str] = {}) -> Side:
    """Starts onward's side; `sizes` are the symbols, lanes and steps of peers_onward.py."""
    command = [sys.executable, str(HERE / "peers_onward.py"), recipe, *map(str, sizes)]
    return Side(name, command, environment)


def spread(seconds: list[float]) -> float:
    """Returns the interquartile range over the median."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return round((high - low) / middle, 3)
