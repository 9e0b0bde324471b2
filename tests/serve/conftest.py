"""A small model, a small detector, and servers of them, each in its own process."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

import onward
from onward.serve.app import ServerSettings, make_app
from onward.serve.http.limits import Limits
from onward.watch.input.format import InputFormat
from onward.watch.training import LearnSettings, learn_detector

TEXT = "the state goes on where the lane ended, and the lane goes on where the state is.\n" * 100


class Server:
    """A process of `onward serve`.

    Attributes:
        url: address without a trailing slash.
        client: sends requests to it.
    """

    def __init__(self, *arguments: object, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "onward", "serve", "--port", "0", *map(str, arguments)]
        variables = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
        self.process = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        line = self.process.stderr.readline()
        assert line.startswith("serving http"), line + self.process.stderr.read()
        self.url = line.split()[1].rstrip("/")
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Stops the server, and returns what it wrote to stderr."""
        self.client.close()
        self.process.send_signal(how)
        return self.process.communicate(timeout=30)[1]


Start = Callable[..., Server]
Serve = Callable[..., TestClient]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    path = folder / "small.onward"  # with a fixed precision, since "auto" depends on the load of the machine
    onward.train(folder / "text.txt", output=path, recipe="tiny", steps=60, precision="bf16")
    return path


@pytest.fixture(scope="session")
def server(model: Path) -> Iterator[Server]:
    running = Server(model, "--corpus", model.with_name("text.txt"))
    yield running
    messages = running.end()
    assert running.process.returncode in (0, -signal.SIGTERM)
    assert messages == ""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that end with the test."""
    running: list[Server] = []

    def begin(*arguments: object, **options: dict[str, str]) -> Server:
        running.append(Server(*arguments, **options))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.end()


@pytest.fixture
def serve(model: Path) -> Iterator[Serve]:
    """Runs the application with some limits, without a socket."""
    with ExitStack() as running:

        def begin(**limits: Any) -> TestClient:
            app = make_app(ServerSettings(models=[model], limits=Limits(**limits)))
            return running.enter_context(TestClient(app, base_url="http://localhost"))

        yield begin


def normal(chance: random.Random) -> list[str]:
    """Returns the events of a normal session."""
    middle = ["read" if chance.random() < 0.7 else "write" for _ in range(chance.randrange(2, 6))]
    return ["start", *middle, "sync", "stop"]


@pytest.fixture(scope="session")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that learned normal sessions from CSV lines, with a false-alarm rate of 3 %."""
    chance = random.Random(0)
    source = InputFormat(form="csv", key="key", event=("event",), time="time")
    reading = {"reader": source.to_json(), "templates": None}
    learning = LearnSettings(held_out=0.5, steps=40, rate=0.03)
    path = tmp_path_factory.mktemp("detectors") / "audit.onward"
    learn_detector([normal(chance) for _ in range(400)], learning, source=reading).save(path)
    return path


@pytest.fixture(scope="session")
def watch(audit: Path) -> Iterator[Server]:
    """A server of the detector."""
    server = Server(audit)
    yield server
    assert server.end() == ""


@pytest.fixture
def own(audit: Path, tmp_path: Path) -> Path:
    """A copy of the detector, which a test may change."""
    path = tmp_path / "audit.onward"
    path.write_bytes(audit.read_bytes())
    return path
