"""A corpus as ids: encoded once, kept beside a hash of its source, read from there ever after."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onward.atomic import atomic_write
from onward.data.corpus import Corpus, read_bytes
from onward.data.named import cache_folder
from onward.data.pieces import SymbolCounter, pieces
from onward.data.symbols import SymbolFile, Symbols
from onward.data.vocabulary import END, SymbolKind, Vocabulary
from onward.errors import CorpusError, VocabularyError

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes to read."""

_LAYOUT = 1
"""Of the cache; one of another number is made anew."""


@dataclass(frozen=True)
class EncodedCorpus:
    """A corpus as ids.

    Attributes:
        name: of the corpus.
        vocabulary: what the ids mean.
        ids: (N,) of the vocabulary's type. Each document of several is followed by END.
        counts: occurrences of each id, (V,).
        digest: SHA-256 of the documents' bytes, in hexadecimal.
        source_bytes: in all documents.
        replaced: invalid bytes (and U+FFFD) that were read as unknown.
    """

    name: str
    vocabulary: Vocabulary
    ids: Symbols
    counts: np.ndarray
    digest: str
    source_bytes: int
    replaced: int


@dataclass(frozen=True)
class Encoding:
    """How a text becomes ids.

    Attributes:
        kind: what one symbol is.
        lower: whether the text is lower-cased first.
        min_count: symbols that occur less often are unknown; has no effect on bytes.
        vocabulary: the vocabulary to use; by default it is made from the corpus.
    """

    kind: SymbolKind = "characters"
    lower: bool = False
    min_count: int = 1
    vocabulary: Vocabulary | None = None


def encode_corpus(
    corpus: Corpus, encoding: Encoding, *, cache: Path | None = None, progress: Progress | None = None
) -> EncodedCorpus:
    """The ids of a corpus, from the cache where its documents are as they were.

    Takes two passes over the documents and constant memory. The cache is valid while the size, the time of
    change and the time of modification of each document stay what they were.

    Raises:
        CorpusError: a document cannot be read, or changes while it is read.
        WriteError: the cache cannot be written.
    """
    folder = (cache or cache_folder()) / "encoded" / _key(corpus, encoding)
    stamps = _stamps(corpus)
    if (facts := _read_facts(folder)) is None or facts["stamps"] != stamps:
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"layout": _LAYOUT, "stamps": stamps, **_encode(corpus, encoding, folder, progress)}
        if _stamps(corpus) != stamps:
            raise CorpusError(
                f"{corpus.name} changed while it was read", hint="train again when it is at rest"
            )
        with atomic_write(folder / "facts.json") as file:
            file.write(json.dumps(facts).encode())
    vocabulary = Vocabulary.from_json(facts["vocabulary"])
    return EncodedCorpus(
        name=corpus.name,
        vocabulary=vocabulary,
        ids=SymbolFile(folder / facts["ids"], vocabulary.dtype),
        counts=np.array(facts["counts"]),
        digest=facts["digest"],
        source_bytes=corpus.size,
        replaced=facts["replaced"],
    )


def encode_text(text: str | bytes, encoding: Encoding, *, name: str = "text") -> EncodedCorpus:
    """The ids of a text in memory, as one document.

    Raises:
        CorpusError: the text is empty.
    """
    if not text:
        raise CorpusError("expected a text with at least one symbol, got an empty one")
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    readable = raw.decode("utf-8", "replace")
    how = {"lower": encoding.lower, "min_count": encoding.min_count}
    vocabulary = encoding.vocabulary or Vocabulary.of_text(readable, encoding.kind, **how)
    ids = vocabulary.encode(raw)
    counts = np.bincount(ids, minlength=len(vocabulary))
    digest = hashlib.sha256(raw).hexdigest()
    return EncodedCorpus(name, vocabulary, ids, counts, digest, len(raw), readable.count("\ufffd"))


def _encode(corpus: Corpus, encoding: Encoding, folder: Path, progress: Progress | None) -> dict[str, Any]:
    """Writes the ids of a corpus, and returns what is known of them."""
    report = _Report(progress, 2 * corpus.size)
    vocabulary, digest = _survey(corpus, encoding, report)
    counts = np.zeros(len(vocabulary), np.int64)
    ids_file = folder / f"ids-{digest[:16]}"
    replaced = 0
    with atomic_write(ids_file) as file:
        for document in corpus.documents:
            for piece in pieces(report.reading(read_bytes(document)), vocabulary.kind):
                ids = vocabulary.encode(piece)
                counts += np.bincount(ids, minlength=len(vocabulary))
                replaced += piece.count("\ufffd") if isinstance(piece, str) else 0
                file.write(ids.data)
            if len(corpus.documents) > 1:
                counts[END] += 1
                file.write(np.array(END, vocabulary.dtype).tobytes())
    for old in folder.glob("ids-*"):
        if old != ids_file:
            old.unlink()
    return {
        "ids": ids_file.name,
        "vocabulary": vocabulary.to_json(),
        "counts": counts.tolist(),
        "digest": digest,
        "replaced": replaced,
    }


def _survey(corpus: Corpus, encoding: Encoding, report: "_Report") -> tuple[Vocabulary, str]:
    """The vocabulary and the SHA-256 of a corpus, in one pass over its bytes."""
    digest = hashlib.sha256()
    counter = SymbolCounter(encoding.kind, lower=encoding.lower)
    kind = "bytes" if encoding.vocabulary else encoding.kind  # nothing is counted of bytes
    for document in corpus.documents:
        for piece in pieces(_hashing(report.reading(read_bytes(document)), digest), kind):
            counter.add(piece)
    return encoding.vocabulary or counter.vocabulary(encoding.min_count), digest.hexdigest()


class _Report:
    """Tells of the bytes that were read."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def reading(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces, counted as they pass."""
        for piece in raw:
            yield piece
            self._done += len(piece)
            if self._progress:
                self._progress(self._done, self._total)


def _hashing(raw: Iterator[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    """The same pieces, hashed as they pass."""
    for piece in raw:
        digest.update(piece)
        yield piece


def _key(corpus: Corpus, encoding: Encoding) -> str:
    """The name of a cache folder: what is encoded, and how."""
    vocabulary = encoding.vocabulary.digest if encoding.vocabulary else None
    how = [encoding.kind, encoding.lower, encoding.min_count, vocabulary]
    what = [str(document.resolve()) for document in corpus.documents]
    return hashlib.sha256(json.dumps([how, what]).encode()).hexdigest()[:32]


def _stamps(corpus: Corpus) -> list[list[int]]:
    """What changes when a document does: its size and its two times."""
    stats = [document.stat() for document in corpus.documents]
    return [[stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for stat in stats]


def _read_facts(folder: Path) -> dict[str, Any] | None:
    """What the cache knows, or None where there is none, or not a whole one of this layout."""
    try:
        facts = json.loads((folder / "facts.json").read_bytes())
        size = (folder / facts["ids"]).stat().st_size
        vocabulary = Vocabulary.from_json(facts["vocabulary"])
        whole = facts["layout"] == _LAYOUT and size == sum(facts["counts"]) * vocabulary.dtype.itemsize
    except (OSError, ValueError, KeyError, TypeError, VocabularyError):
        return None
    return facts if whole else None
