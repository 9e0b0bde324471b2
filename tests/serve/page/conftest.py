"""Two models behind a real server, and a real browser that opens its page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Server
from tests.serve.page.browsing import TEXT, Open

import onward
from onward.inference.trained import TrainedModel


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of one text, by characters and by bytes."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    paths = [folder / "small.onward", folder / "bytes.onward"]
    for path, kind in zip(paths, ("characters", "bytes"), strict=True):
        onward.train(folder / "text.txt", output=path, recipe="tiny", steps=60, symbols=kind)
    return paths


@pytest.fixture(scope="session")
def small(models: list[Path]) -> TrainedModel:
    """The model that the page begins with."""
    return onward.load(models[0])


@pytest.fixture(scope="session")
def address(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server of both."""
    running = Server(*models, environment={"ONWARD_CACHE": str(tmp_path_factory.mktemp("cache"))})
    yield f"{running.url}/"
    running.end()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page in a fresh window; what goes to another server, or to the console, fails the test.

    Without `sockets` its edits travel over HTTP.
    """
    strays: list[str] = []
    contexts = []

    def opened(*, errors: bool = False, sockets: bool = True, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: strays.append(str(error)))
        page.on("request", lambda r: r.url.startswith(address) or strays.append(r.url))
        if not errors:
            page.on("console", lambda message: strays.append(f"{message.text} {message.location.get('url')}"))
        if not sockets:
            page.route_web_socket("**/ws", lambda socket: socket.close())
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not strays
