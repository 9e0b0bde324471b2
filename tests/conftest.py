"""Common fixtures: shapes are checked at run time, and the real data is beside the checkout."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook

if not torch.cuda.is_available():  # before Triton is first imported
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("ONWARD_TRITON", "1")  # unproven kernels, which are tested but off by default

# All but the command line, whose types are typer's own, and not those that typer passes.
CHECKED = (
    "api", "artefact", "atomic", "classify", "data", "description", "export", "inference", "layers", "lesson",
    "model", "training", "units", "watch",
)  # fmt: skip
install_import_hook([f"onward.{name}" for name in CHECKED], "beartype.beartype")

hypothesis.settings.register_profile("no timed tests", deadline=None)
hypothesis.settings.load_profile("no timed tests")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that use it are skipped if it is missing."""
    folder = Path(os.environ.get("ONWARD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the data sets are not at {folder} (set ONWARD_SHARED_DATA)")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches."""
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser. It ends with the module, because its event loop would be in the way of other clients."""
    from tests.serve.page.browsing import CHROMIUM, api  # noqa: PLC0415 - skips the test if playwright is not installed

    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
