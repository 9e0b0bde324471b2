"""Named corpora: Python's own documentation, and two standard texts of the field.

The module also finds the cache folder, which holds these corpora and other files that onward can recreate.
"""

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from onward.atomic import atomic_write
from onward.errors import CorpusError, WriteError

BUILT_IN = "pydoc"


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus that `find_named` can find.

    Attributes:
        file: path of the file below $ONWARD_DATA and below the cache folder.
        url: the address to download it from.
        sha256: SHA-256 of its content, in hexadecimal.
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
    """Returns $ONWARD_CACHE, or the folder `onward` in the platform's cache folder of the user."""
    if own := os.environ.get("ONWARD_CACHE"):
        return Path(own)
    return user_cache_path("onward", appauthor=False)


def make_cache(folder: Path) -> Path:
    """Creates a folder in the cache if it is missing, and returns it. Only this user may look into it.

    Raises:
        WriteError: the folder cannot be created.
    """
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # texts may be private
    except OSError as error:
        raise WriteError(
            f"cannot create the cache folder {folder}: {error.strerror}",
            hint="set ONWARD_CACHE to a folder that you may write to",
        ) from error
    return folder


def find_named(name: str) -> Path | None:
    """Returns the file of a named corpus, or None if no corpus has that name.

    `pydoc` is made from the documentation of the running Python, about 465,000 characters. The others are
    looked up in $ONWARD_DATA, then in the cache folder, then downloaded to the cache folder. Their sha256 is
    checked each time.

    Raises:
        CorpusError: the corpus cannot be downloaded, or its content has another sha256.
        OSError: the file cannot be read.
        WriteError: the cache cannot be written.
    """
    if name == BUILT_IN:
        return _built_in()
    if name not in NAMED:
        return None
    corpus = NAMED[name]
    if (own := os.environ.get("ONWARD_DATA")) and (path := Path(own, corpus.file)).is_file():
        hint = "replace the file, or give its path to train on it as it is"
        _check(path.read_bytes(), name, path, hint)
        return path
    cached = cache_folder() / corpus.file
    if cached.is_file():
        _check(cached.read_bytes(), name, cached, "delete the file, so that it is downloaded again")
    else:
        _save(cached, _download(name, corpus))
    return cached


def _built_in() -> Path:
    """Returns a file with all topics of `help()`, in the order of their names."""
    from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte that nothing else needs

    content = "\n\n".join(topics[name] for name in sorted(topics)).encode()
    path = cache_folder() / f"pydoc-{hashlib.sha256(content).hexdigest()[:16]}.txt"
    if not path.is_file():
        _save(path, content)
    return path


def _download(name: str, corpus: NamedCorpus) -> bytes:
    hint = f"put the file at $ONWARD_DATA/{corpus.file}, or use pydoc, which needs no download"
    try:
        with urllib.request.urlopen(corpus.url, timeout=30) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:  # a URLError is an OSError
        raise CorpusError(f"cannot download {name} from {corpus.url}: {error}", hint=hint) from error
    _check(content, name, corpus.url, hint)
    return content


def _check(content: bytes, name: str, where: Path | str, hint: str) -> None:
    """Raises CorpusError if the content is not that of the named corpus."""
    found, expected = hashlib.sha256(content).hexdigest(), NAMED[name].sha256
    if found != expected:
        raise CorpusError(f"expected {name} with sha256 {expected}, but {where} has {found}", hint=hint)


def _save(path: Path, content: bytes) -> None:
    make_cache(path.parent)
    with atomic_write(path) as file:
        file.write(content)
