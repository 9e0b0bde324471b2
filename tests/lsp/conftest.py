"""A running language server with the base model of Python code."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.lsp.client import Client

Start = Callable[..., Client]
READY = "file:///ready.py"
CODE = "import os\nimport sys\n\n\ndef main():\n    for name in sys.ar"
EXPECTED = "gs:"


def check_answers(client: Client, text: str = CODE, expected: str = EXPECTED) -> None:
    """Opens a document, and checks its ghost text at the end."""
    client.open(READY, text)
    lines = text.split("\n")
    assert client.ghost_text(READY, len(lines) - 1, len(lines[-1])) == expected
    client.tell("textDocument/didClose", {"textDocument": {"uri": READY}})


def wait_for_model(client: Client) -> Client:
    """Waits until the server answers."""
    client.open(READY, CODE)
    client.wait_until(lambda: client.ghost_text(READY, 5, 22))
    client.tell("textDocument/didClose", {"textDocument": {"uri": READY}})
    return client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A server without a memory: its answers do not depend on other tests."""
    running = wait_for_model(Client("--memory", "0"))
    yield running
    assert running.end() == (0, "")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that end with the test."""
    running: list[Client] = []

    def begin(*arguments: object, **options: Any) -> Client:
        running.append(Client(*arguments, **options))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
