"""Corpora with a name: one that comes with Python, and two that the field measures itself by."""

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from onward.atomic import atomic_write
from onward.errors import CorpusError, WriteError

BUILT_IN = "pydoc"


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus that can be had by its name.

    Attributes:
        file: where it lies below $ONWARD_DATA and below the cache folder.
        url: where it is downloaded from when it lies in neither.
        sha256: of its content, in hexadecimal.
    """

    file: str
    url: str
    sha256: str


NAMED = {
    "nietzsche": NamedCorpus(
        "nietzsche/nietzsche.txt",
        "https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    "tinyshakespeare": NamedCorpus(
        "tinyshakespeare/input.txt",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}


def cache_folder() -> Path:
    """Where onward keeps what it can make again: $ONWARD_CACHE, or `onward` in the user's cache folder."""
    if own := os.environ.get("ONWARD_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onward"


def make_cache(folder: Path) -> Path:
    """A folder of the cache, made where it was not there.

    Raises:
        WriteError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"cannot make the cache folder {folder}: {error.strerror}",
            hint="set ONWARD_CACHE to a folder that may be written to",
        ) from error
    return folder


def find_named(name: str) -> Path | None:
    """The file of a named corpus, or None where there is no corpus of that name.

    `pydoc` is made from the documentation that comes with the Python that runs, about 465,000 characters.
    The others are looked up in $ONWARD_DATA, then in the cache folder, then downloaded there.

    Raises:
        CorpusError: it is not at hand and cannot be downloaded, or is not what it should be.
    """
    if name == BUILT_IN:
        return _built_in()
    if name not in NAMED:
        return None
    corpus = NAMED[name]
    if (own := os.environ.get("ONWARD_DATA")) and (Path(own) / corpus.file).is_file():
        return Path(own) / corpus.file
    cached = cache_folder() / corpus.file
    if not cached.is_file():
        _save(cached, _download(name, corpus))
    return cached


def _built_in() -> Path:
    """The topics of `help()` one after another, in the order of their names."""
    from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte that only this needs

    content = "\n\n".join(topics[name] for name in sorted(topics)).encode()
    path = cache_folder() / f"pydoc-{hashlib.sha256(content).hexdigest()[:16]}.txt"
    if not path.is_file():
        _save(path, content)
    return path


def _download(name: str, corpus: NamedCorpus) -> bytes:
    """The content of a corpus from its address, checked."""
    hint = f"put the file at $ONWARD_DATA/{corpus.file}, or train on pydoc, which needs no download"
    try:
        with urllib.request.urlopen(corpus.url, timeout=30) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:  # a URLError is an OSError
        raise CorpusError(f"cannot download {name} from {corpus.url}: {error}", hint=hint) from error
    found = hashlib.sha256(content).hexdigest()
    if found != corpus.sha256:
        raise CorpusError(
            f"{name} should have sha256 {corpus.sha256}, but {corpus.url} has {found}", hint=hint
        )
    return content


def _save(path: Path, content: bytes) -> None:
    """Keeps a corpus in the cache."""
    make_cache(path.parent)
    with atomic_write(path) as file:
        file.write(content)
