import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.inference.conftest import Maker

from onward.data.vocabulary import Vocabulary
from onward.errors import CorpusError, InputError, WriteError
from onward.inference.scoring import html_report as module
from onward.inference.scoring.html_report import expectations
from onward.inference.trained_model import TrainedModel

TEXT = 'abc <script>alert(1)</script>\n\0\u4e2d&amp;" \t\x07end'


class Page(HTMLParser):
    """The marks of a page with their text, and all elements with their attributes."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.marks: list[dict] = []
        self.shown: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self._tag = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self._tag = tag
        self.elements.append((tag, dict(attrs)))
        if "data-e" in dict(attrs):
            self.marks.append(dict(attrs))
            self.shown.append("")

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "i" and self.marks:
            self.shown[-1] += data
        if self._tag == "script":
            self.scripts.append(data)


@pytest.fixture(scope="module")
def page(trained: TrainedModel, tmp_path_factory) -> Page:
    path = tmp_path_factory.mktemp("page") / "page.html"
    score = trained.write_page(TEXT, path, title="<b>&")
    assert score.nats == pytest.approx(trained.score(TEXT).nats, rel=1e-6)
    return Page(path.read_text(encoding="utf-8"))


def test_each_symbol_has_its_surprise_and_the_three_likeliest_symbols(
    trained: TrainedModel, page: Page
) -> None:
    session, names = trained.session(memory=0), json.loads(page.scripts[0])
    assert len(page.marks) == len(TEXT)
    for symbol, mark in zip(TEXT, page.marks, strict=True):
        expected = session.next_distribution()
        (nats,) = session.feed(symbol)
        came, percent, bits, *alternatives = mark["data-e"].split(",")
        assert int(came) == trained.vocabulary.encode(symbol)[0]
        assert float(bits) == pytest.approx(nats / np.log(2), abs=0.011)
        assert float(percent) == pytest.approx(100 * np.exp(-nats), rel=0.1)
        assert mark["class"] == f"s{min(int(nats / np.log(2)), 9)}"
        for alternative, (name, chance) in zip(alternatives, expected.top(3), strict=True):
            i, percent = alternative.split(" ")
            assert names[i] == name
            assert float(percent) == pytest.approx(100 * chance, rel=0.01)


def test_the_score_of_a_page_counts_unknown_symbols(trained: TrainedModel, tmp_path: Path) -> None:
    text = f"{TEXT}\u2603\u2603"
    score = trained.write_page(text, tmp_path / "unknown.html")
    assert score.unknown == trained.score(text).unknown >= 2


def test_the_text_cannot_become_markup(trained: TrainedModel, page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert tags == {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "p",
        "i",
        "main",
        "output",
        "script",
    }
    assert len(page.scripts) == 2
    assert all(
        key in ("class", "data-e") for tag, attributes in page.elements if tag == "i" for key in attributes
    )


def test_the_page_loads_no_outside_resources(page: Page) -> None:
    for _, attributes in page.elements:
        assert not {"src", "href", "onload", "onclick"} & set(attributes)
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    assert not re.search(r"https?://|url\(|@import", " ".join(page.scripts))


def test_invisible_symbols_have_a_sign(make: Maker, tmp_path: Path, page: Page) -> None:
    assert "".join(page.shown[:3]) == "abc"
    assert page.shown[TEXT.index("\n")] == "\u21b5\n"
    assert page.shown[TEXT.index("\0")] == "\u2400"
    assert page.shown[TEXT.index("\u4e2d")] == "\ufffd"
    raw = make(Vocabulary.of_bytes())
    raw.write_page("\u00e9\t<\x07", tmp_path / "raw.html")
    assert Page((tmp_path / "raw.html").read_text()).shown == ["0xc3", "0xa9", "\t", "<", "\u2407"]
    words = make(Vocabulary.of_text("a <b>", "words"))
    words.write_page(np.array([4, 2, 3]), tmp_path / "ids.html")
    assert Page((tmp_path / "ids.html").read_text()).shown[1:] == ["<begin>", "<end>"]


def test_symbol_names_cannot_close_the_script_element(make: Maker, tmp_path: Path) -> None:
    odd = make(Vocabulary.of_text("</script>", "characters"))
    odd.write_page("</script>", tmp_path / "p.html")
    found = Page((tmp_path / "p.html").read_text())
    assert set("</script>") <= set(json.loads(found.scripts[0]).values())


def test_the_size_of_blocks_does_not_matter(trained: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = trained.vocabulary.encode(TEXT)
    whole = [*expectations(trained.model, ids)]
    monkeypatch.setattr(module, "block_length", lambda *_: 5)
    parts = [*expectations(trained.model, ids)]
    assert (len(whole), len(parts)) == (1, -(-len(ids) // 5))
    np.testing.assert_allclose(np.concatenate([part.nats for part in parts]), whole[0].nats, rtol=1e-4)


def test_empty_and_too_long_texts_are_refused(trained: TrainedModel, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_SYMBOLS", 3)
    with pytest.raises(InputError, match="expected at most 3 symbols for a page, got 4"):
        trained.write_page("abcd", tmp_path / "p.html")
    with pytest.raises(CorpusError):
        trained.write_page("", tmp_path / "p.html")
    assert not list(tmp_path.iterdir())
    with pytest.raises(WriteError):
        trained.write_page("abc", tmp_path / "missing" / "p.html")
