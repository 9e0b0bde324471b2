"""The file of an exported page: complete, alone, and written with care."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from tests.artefacts import small
from tests.cli.conftest import Command, onward
from tests.serve.markup import ELSEWHERE, FORBIDDEN

from onward.artefact import Artefact, save
from onward.errors import ArtefactError, InputError, WriteError
from onward.export.page import export_page, is_page
from onward.inference.trained_model import TrainedModel
from onward.model import LanguageModel, ModelConfig

__all__ = ["onward"]  # a fixture


@pytest.fixture
def trained() -> TrainedModel:
    return TrainedModel(small())


@pytest.fixture
def html(trained: TrainedModel, tmp_path: Path) -> str:
    export_page(trained, tmp_path / "page.html", name="<small>")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_policy_allows_only_the_script_and_the_style_of_the_page(html: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', html, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert dict(part.strip().split(" ", 1) for part in policy.split(";")) == {
        "default-src": "'none'",
        "script-src": f"'sha256-{hashes[0]}' 'wasm-unsafe-eval'",
        "style-src": f"'sha256-{hashes[1]}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_names_no_file_and_no_other_site(html: str) -> None:
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', html)
    assert [source.partition(",")[0] for source in sources] == ["data:image/svg+xml;base64"]
    assert not re.search(ELSEWHERE, html)
    assert not re.search(FORBIDDEN, html)
    assert not re.search(r' (?:style|onclick|onload)="', html)


def test_the_name_of_a_model_cannot_become_markup(html: str) -> None:
    assert "<small>" not in html
    assert "<title>&lt;small&gt; - onward</title>" in html


def test_equal_models_give_equal_pages(trained: TrainedModel, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_page(trained, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_page_of_a_default_model_has_at_most_seven_megabytes(
    trained: TrainedModel, tmp_path: Path
) -> None:
    symbols = len(trained.vocabulary)
    model = LanguageModel(ModelConfig(symbols=symbols)).eval()
    export_page(TrainedModel(Artefact(model, trained.vocabulary)), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size <= 7e6


def test_only_pages_are_replaced(trained: TrainedModel, tmp_path: Path) -> None:
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    export_page(trained, page)
    assert is_page(page)
    export_page(trained, page, name="again")
    assert "<title>again" in page.read_text(encoding="utf-8")
    other.write_text("<!doctype html>\n<title>a page that took long to write</title>")
    with pytest.raises(InputError, match=r"other\.html exists and is not an onward page"):
        export_page(trained, other)
    assert "took long" in other.read_text()


def test_the_model_itself_is_not_replaced(trained: TrainedModel, tmp_path: Path) -> None:
    file = tmp_path / "m.onward"
    trained.save(file)
    with pytest.raises(InputError, match="is a source: the page would overwrite it"):
        export_page(TrainedModel.load(file), file)


def test_a_folder_that_is_missing_is_an_error(trained: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write"):
        export_page(trained, tmp_path / "missing" / "page.html")


def test_a_detector_is_refused(tmp_path: Path) -> None:
    model = small()
    detector = Artefact(model.model, model.vocabulary, watch={})
    with pytest.raises(ArtefactError, match="got a detector"):
        export_page(TrainedModel(detector), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_page(onward: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(small(), tmp_path / "tiny.onward")
    ran = onward("export", "tiny.onward")
    assert (ran.code, ran.out) == (0, "")
    assert re.fullmatch(r"wrote tiny\.html, \d\.\d MB; open it in a browser\n", ran.err)
    assert is_page(tmp_path / "tiny.html")
    named = onward("export", "tiny.onward", "-o", "named.html", "--json")
    assert named.json == {"page": "named.html", "bytes": (tmp_path / "named.html").stat().st_size}


def test_the_command_refuses_other_files(onward: Command, tmp_path: Path) -> None:
    save(small(), tmp_path / "tiny.onward")
    notes = tmp_path / "notes.html"
    notes.write_text("notes")
    for ran in (
        onward("export", tmp_path / "tiny.onward", "-o", notes),
        onward("export", notes, "-o", tmp_path / "a.html"),
    ):
        assert ran.code == 2
        assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["error", "hint"]
    assert notes.read_text() == "notes"


def test_the_description_holds_what_the_page_shows(html: str, trained: TrainedModel) -> None:
    (found,) = re.findall(r'id="exported">(.*?)</script>', html, re.DOTALL)
    exported = json.loads(found)
    assert exported["model"]["id"] == "<small>"
    assert exported["model"]["parameters"] == trained.model.parameter_count()
    assert exported["curve"] is None
    assert len(exported["vocabulary"]["names"]) == len(trained.vocabulary)
