import hashlib
import http.client
import sys
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from onward.data import named
from onward.data.corpus import find_sources
from onward.data.named import NAMED, NamedCorpus, cache_folder, find_named, make_cache
from onward.errors import CorpusError, WriteError

TEXT = b"to be\r\nor not"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were requested; each serves TEXT, the content of the only named corpus, hamlet."""
    requested: list[str] = []

    def answer(url: str, timeout: float) -> BytesIO:
        requested.append(url)
        return BytesIO(TEXT)

    corpus = NamedCorpus("hamlet/input.txt", "https://example.org/hamlet", hashlib.sha256(TEXT).hexdigest())
    monkeypatch.setattr(named, "NAMED", {"hamlet": corpus})
    monkeypatch.setattr(urllib.request, "urlopen", answer)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    return requested


def place(folder: Path, content: bytes) -> Path:
    """Writes the file of hamlet below a folder."""
    path = folder / "hamlet/input.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_the_built_in_corpus_is_the_documentation_of_python() -> None:
    (path,) = find_sources(["pydoc"]).documents
    text = path.read_text(encoding="utf-8")
    assert 400_000 < len(text) < 1_000_000
    assert "The standard type hierarchy" in text
    stamp = path.stat().st_mtime_ns
    assert find_named("pydoc") == path
    assert path.stat().st_mtime_ns == stamp


def test_an_unknown_name_has_no_corpus() -> None:
    assert find_named("hamlet") is None


def test_a_corpus_is_downloaded_once(network: list[str]) -> None:
    path = cache_folder() / "hamlet/input.txt"
    assert find_named("hamlet") == path
    assert path.read_bytes() == TEXT
    assert find_named("hamlet") == path
    assert network == ["https://example.org/hamlet"]


def test_a_corpus_in_the_data_folder_is_not_downloaded(
    network: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(tmp_path, TEXT)
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    assert find_named("hamlet") == path
    assert network == []


@pytest.mark.parametrize("content", [b"mine", b"", TEXT[:-1]])
@pytest.mark.usefixtures("network")
def test_another_file_in_the_data_folder_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(tmp_path, content)
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match="sha256") as caught:
        find_sources(["hamlet"])
    assert str(path) in str(caught.value)
    assert "its path" in caught.value.hint


@pytest.mark.usefixtures("network")
def test_a_damaged_file_in_the_cache_is_refused() -> None:
    path = place(cache_folder(), TEXT[:-1])
    with pytest.raises(CorpusError, match="sha256") as caught:
        find_sources(["hamlet"])
    assert str(path) in str(caught.value)
    assert "delete the file" in caught.value.hint
    path.unlink()
    assert find_sources(["hamlet"]).documents == (path,)


def test_a_download_with_other_content_is_refused(
    network: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: BytesIO(b"captive portal"))
    with pytest.raises(CorpusError, match="sha256") as caught:
        find_named("hamlet")
    assert "ONWARD_DATA" in caught.value.hint
    assert not (cache_folder() / "hamlet/input.txt").exists()


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no route to host"), TimeoutError(), http.client.IncompleteRead(b"to b")]
)
def test_no_network(network: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(CorpusError, match="cannot download hamlet") as caught:
        find_sources(["hamlet"])
    assert "pydoc" in caught.value.hint


def test_a_file_comes_before_a_named_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pydoc").write_text("mine")
    assert find_sources(["pydoc"]).documents == (Path("pydoc"),)


def test_other_users_cannot_look_into_a_folder_of_the_cache(tmp_path: Path) -> None:
    folder = make_cache(tmp_path / "cache" / "encoded" / "1")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert make_cache(folder).stat().st_mode & 0o777 == 0o755  # somebody chose that


def test_a_cache_folder_that_cannot_be_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot create the cache") as caught:
        make_cache(tmp_path / "file" / "cache")
    assert "ONWARD_CACHE" in caught.value.hint
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "file"))
    with pytest.raises(WriteError):
        find_sources(["pydoc"])


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have other cache folders")
def test_the_cache_folder_is_the_one_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/onward")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/onward"


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_shared_copies_have_the_hashes_of_the_named_corpora(name: str, shared_data: Path) -> None:
    path = shared_data / NAMED[name].file
    assert hashlib.sha256(path.read_bytes()).hexdigest() == NAMED[name].sha256
