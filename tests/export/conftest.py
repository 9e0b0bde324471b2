"""Models of each kind of symbol, and their pages."""

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.serve.page.browsing import TEXT

import onward
from onward.data.vocabulary import SymbolKind
from onward.export.page import export_page
from onward.inference.trained_model import TrainedModel


class Exported(NamedTuple):
    """A model and its page."""

    trained: TrainedModel
    page: Path


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[SymbolKind, Exported]:
    """A model of the same text for each kind of symbol, with its page."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    made: dict[SymbolKind, Exported] = {}
    for kind in ("characters", "bytes", "words"):
        trained = onward.train(
            folder / "text.txt", output=folder / f"{kind}.onward", recipe="tiny", steps=60, symbols=kind
        )
        export_page(trained, folder / f"{kind}.html")
        made[kind] = Exported(trained, folder / f"{kind}.html")
    return made


@pytest.fixture(params=["characters", "bytes", "words"])
def exported(request: pytest.FixtureRequest, pages: dict[SymbolKind, Exported]) -> Exported:
    """A model and its page, for each kind of symbol."""
    return pages[request.param]
