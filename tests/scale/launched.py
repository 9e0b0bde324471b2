"""Runs that torchrun starts."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from onward.outputs import checkpoint_path

SAVING_OFTEN = Path(__file__).with_name("onward_saving_often.py")
SMALL = [
    "--recipe", "tiny", "--base", "none", "--precision", "fp32", "--width", "24", "--set", "block=16",
    "--dropout", "0.2", "--noise", "0.05", "--set", "validation=0.1",
]  # fmt: skip


def write_text(path: Path) -> Path:
    """Writes about 6,500 characters of words in random order."""
    chance = random.Random(3)
    words = ["state", "is", "a", "value", "and", "lanes", "go", "on", "where", "they", "ended"]
    path.write_text(" ".join(chance.choice(words) for _ in range(1500)))
    return path


def environment(folder: Path) -> dict[str, str]:
    """Returns the environment of a run: its own cache, and no number of threads."""
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return kept | {"ONWARD_CACHE": str(folder / "cache")}


class Launched:
    """A run of `onward train` in processes that torchrun has started.

    Args:
        processes: number of processes; 0 starts `onward` without torchrun.
        arguments: of `onward train`.
        folder: a folder for the cache.
        options: of torchrun.
    """

    def __init__(self, processes: int, *arguments: str | Path, folder: Path, options: tuple[str, ...] = ()):
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), *options]
        launcher += ["--master-port", str(free_port())]  # not the default, which another test may use
        command = [*(launcher if processes else []), str(SAVING_OFTEN), "train", *map(str, arguments)]
        self._process = subprocess.Popen(
            [sys.executable, *command], env=environment(folder), stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> "Launched":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self.end()

    def end(self) -> tuple[int, str]:
        """Waits for the end, and returns the exit code and the messages."""
        _, messages = self._process.communicate(timeout=240)
        return self._process.returncode, messages

    def kill(self, rank: int) -> None:
        """Kills the process with a rank."""
        os.kill(self.pid(rank), signal.SIGKILL)

    def stop(self, number: int) -> None:
        """Sends a signal to torchrun."""
        self._process.send_signal(number)

    def pid(self, rank: int) -> int:
        """Returns the process that torchrun has started with a rank."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            if f"RANK={rank}".encode() in variables:
                return int(child)
        raise AssertionError(f"expected a process of rank {rank}, got {children}")

    def wait_for_checkpoint(self, output: Path) -> None:
        """Waits until the run has written a checkpoint, which is larger than 100 bytes."""
        path = checkpoint_path(output)
        wait_until(lambda: self._process.poll() is not None or (path.exists() and path.stat().st_size > 100))
        assert self._process.poll() is None, self.end()[1]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"nothing happened for {seconds} seconds")
        time.sleep(0.02)


def errors(messages: str) -> list[str]:
    """Returns onward's own errors and hints, without torchrun's report."""
    return re.findall(r"^(?:error|hint): .*$", messages, re.MULTILINE)
