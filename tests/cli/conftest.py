"""A text, a model of it, and fixtures that run command lines."""

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from tests.cli.sessions import rows, session

from onward.cli.app import run

TEXT = "the state goes on where the lane ended, and the lane goes on where the state is.\n" * 100


@dataclass(frozen=True)
class Ran:
    """The result of a command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on the last line of standard output."""
        return json.loads(self.out.splitlines()[-1])


Command = Callable[..., Ran]


@pytest.fixture
def onward(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command line in this process; `data` is its standard input."""

    def call(*arguments: object, data: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a command line in its own process, with its own cache. The process ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *arguments: object,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "onward", *map(str, arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ONWARD_CACHE": str(tmp_path / "cache")}
        started.append(subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr))
        return started[-1]

    yield start
    for child in started:
        child.kill()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file of 8,100 characters."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on `TEXT`."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    path = folder / "small.onward"
    arguments = ["train", folder / "text.txt", "-o", path, "--recipe", "tiny", "--steps", "60"]
    assert run([str(argument) for argument in arguments]) == 0
    return path


@pytest.fixture(scope="session")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector for JSON lines."""
    folder, chance = tmp_path_factory.mktemp("watching"), random.Random(0)
    (folder / "normal.jsonl").write_text(rows([session(chance) for _ in range(800)]))
    path = folder / "small.onward"
    how = ["--key", "key", "--event", "event", "--held-out", "50%", "--steps", "40", "--false-alarms", "2%"]
    assert run(["watch", "learn", str(folder / "normal.jsonl"), "-o", str(path), *how]) == 0
    return path
