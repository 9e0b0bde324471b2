"""A server of two models, and a browser that opens its page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Server
from tests.serve.page.browsing import TEXT, Open, pages

import onward
from onward.inference.trained_model import TrainedModel


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of the same text: one of characters, one of bytes."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    paths = [folder / "small.onward", folder / "bytes.onward"]
    for path, kind in zip(paths, ("characters", "bytes"), strict=True):
        onward.train(folder / "text.txt", output=path, recipe="tiny", steps=60, symbols=kind)
    return paths


@pytest.fixture(scope="session")
def small(models: list[Path]) -> TrainedModel:
    """The first model of the page."""
    return onward.load(models[0])


@pytest.fixture(scope="session")
def address(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of both models."""
    running = Server(*models, environment={"ONWARD_CACHE": str(tmp_path_factory.mktemp("cache"))})
    yield f"{running.url}/"
    running.end()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Opens the typing page; see `pages`."""
    with pages(browser, address, 1280, 900) as opened:
        yield opened
