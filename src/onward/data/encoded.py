"""Encodes a corpus as ids. Later runs read the ids from a cache, as long as the source is unchanged."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from onward.atomic import atomic_write
from onward.data.corpus import Corpus, read_bytes, status
from onward.data.named import cache_folder, make_cache
from onward.data.pieces import SymbolCounter, pieces
from onward.data.symbols import SymbolFile, Symbols
from onward.data.vocabulary import END, SymbolKind, Vocabulary, as_bytes, as_text
from onward.errors import CorpusError, VocabularyError
from onward.stored import StoredModel

Progress = Callable[[int, int], None]
"""Called with the number of bytes read so far and the total number of bytes to read."""

_LAYOUT = 2
"""Version of the cache's layout; caches of other versions are replaced."""

SETTLED = 2 * 10**9
"""In nanoseconds. Two changes of a file that are this far apart give it different times, even coarse ones."""


@dataclass(frozen=True)
class EncodedCorpus:
    """A corpus as ids.

    Attributes:
        name: name of the corpus.
        vocabulary: the meaning of the ids.
        ids: (N,), in the vocabulary's type. If there are several documents, END follows each.
        counts: occurrences of each id, (V,).
        digest: SHA-256 of the document's content, in hexadecimal; of several documents, the SHA-256 of
            their digests joined.
        source_bytes: size of all documents; compressed files count with their compressed size.
        replaced: number of invalid bytes (and U+FFFD) that were encoded as unknown.
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
    """How a text is encoded as ids.

    Attributes:
        kind: unit of text that is one symbol.
        lower: whether the text is lower-cased first.
        min_count: symbols that occur less often become UNKNOWN; bytes are not affected.
        vocabulary: the vocabulary to use; by default it is built from the corpus.
    """

    kind: SymbolKind = "characters"
    lower: bool = False
    min_count: int = 1
    vocabulary: Vocabulary | None = None


def encode_corpus(
    corpus: Corpus, encoding: Encoding, *, cache: Path | None = None, progress: Progress | None = None
) -> EncodedCorpus:
    """Returns the ids of a corpus, from the cache if its documents are unchanged.

    Encoding takes two passes over the documents, in constant memory. The cache is valid while each document
    has the same size and times, or the same SHA-256.

    Raises:
        CorpusError: a document cannot be read, or changed while it was read.
        WriteError: the cache cannot be written.
    """
    folder = (cache or cache_folder()) / "encoded" / _key(corpus, encoding)
    stamps = _stamps(corpus)
    facts = _read_facts(folder, encoding)
    if facts is None or facts["stamps"] != stamps or not facts["settled"]:
        if facts is None or not _unchanged(corpus, facts):
            facts = _encode(corpus, encoding, make_cache(folder), progress)
        if _stamps(corpus) != stamps:
            raise CorpusError(
                f"{corpus.name} changed while it was read",
                hint="try again when no other program is writing to it",
            )
        facts |= {"layout": _LAYOUT, "stamps": stamps, "settled": _is_settled(stamps)}
        with atomic_write(folder / "facts.json") as file:
            file.write(json.dumps(facts).encode())
    vocabulary = Vocabulary.from_json(facts["vocabulary"])
    return EncodedCorpus(
        name=corpus.name,
        vocabulary=vocabulary,
        ids=SymbolFile(folder / facts["ids"], vocabulary.dtype, len(vocabulary)),
        counts=np.array(facts["counts"]),
        digest=facts["digest"],
        source_bytes=corpus.size,
        replaced=facts["replaced"],
    )


def encode_text(text: str | bytes, encoding: Encoding, *, name: str = "text") -> EncodedCorpus:
    """Returns the ids of a text in memory, as one document.

    Raises:
        CorpusError: the text is empty.
    """
    if not text:
        raise CorpusError("expected a text with at least one symbol, got an empty one")
    raw = as_bytes(text)
    readable = as_text(raw)
    how = {"lower": encoding.lower, "min_count": encoding.min_count}
    vocabulary = encoding.vocabulary or Vocabulary.of_text(readable, encoding.kind, **how)
    ids = vocabulary.encode(raw)
    counts = np.bincount(ids, minlength=len(vocabulary))
    digest = hashlib.sha256(raw).hexdigest()
    replaced = 0 if vocabulary.kind == "bytes" else readable.count("\ufffd")
    return EncodedCorpus(name, vocabulary, ids, counts, digest, len(raw), replaced)


def _encode(corpus: Corpus, encoding: Encoding, folder: Path, progress: Progress | None) -> dict[str, Any]:
    """Writes the ids of a corpus to a file, and returns the facts to store with them."""
    report = _ProgressReport(progress, 2 * corpus.size)
    vocabulary, digest = _survey(corpus, encoding, report)
    counts = np.zeros(len(vocabulary), np.int64)
    ids_file = folder / f"ids-{digest[:16]}"
    replaced = 0
    with atomic_write(ids_file) as file:
        for document in corpus.documents:
            for piece in pieces(report.reading(document), vocabulary.kind, marks=vocabulary.marks):
                ids = vocabulary.encode(piece)
                counts += np.bincount(ids, minlength=len(vocabulary))
                replaced += piece.count("\ufffd") if isinstance(piece, str) else 0
                file.write(ids.data)
            if len(corpus.documents) > 1:
                counts[END] += 1
                file.write(np.array(END, vocabulary.dtype).tobytes())
    for old in folder.glob("ids-*"):
        if old != ids_file:
            with suppress(OSError):  # another run may have removed it
                old.unlink()
    return {
        "ids": ids_file.name,
        "vocabulary": vocabulary.to_json(),
        "counts": counts.tolist(),
        "digest": digest,
        "replaced": replaced,
    }


def _survey(corpus: Corpus, encoding: Encoding, report: "_ProgressReport") -> tuple[Vocabulary, str]:
    """Returns the vocabulary and the SHA-256 of a corpus, in one pass over its bytes."""
    digests = []
    counter = SymbolCounter(encoding.kind, lower=encoding.lower)
    kind = "bytes" if encoding.vocabulary else encoding.kind  # bytes need no counting
    for document in corpus.documents:
        digest = hashlib.sha256()
        for piece in pieces(_hashing(report.reading(document), digest.update), kind):
            counter.add(piece)
        digests.append(digest.hexdigest())
    whole = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return encoding.vocabulary or counter.vocabulary(encoding.min_count), whole


class _ProgressReport:
    """Reports how many bytes of the files have been read."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def reading(self, document: Path) -> Iterator[bytes]:
        """Yields the content of a document piece by piece and reports progress."""
        before = self._done

        def at(position: int) -> None:
            self._done = before + position
            if self._progress:
                self._progress(self._done, self._total)

        yield from read_bytes(document, at)


def _hashing(raw: Iterator[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yields the pieces unchanged, and updates a hash with each."""
    for piece in raw:
        update(piece)
        yield piece


def _key(corpus: Corpus, encoding: Encoding) -> str:
    """Returns the cache key of a corpus and its encoding: a hash of paths, or of digests of copied pipes."""
    vocabulary = encoding.vocabulary.digest if encoding.vocabulary else None
    how = [encoding.kind, encoding.lower, encoding.min_count, vocabulary]
    what = [corpus.digests.get(document) or str(document.resolve()) for document in corpus.documents]
    return hashlib.sha256(json.dumps([how, what]).encode()).hexdigest()[:32]


def _stamps(corpus: Corpus) -> list[list[int]]:
    """Returns size, modification time and change time of each document; for copied pipes only the size."""
    stamps = []
    for document in corpus.documents:
        stat = status(document)
        times = [0, 0] if document in corpus.digests else [stat.st_mtime_ns, stat.st_ctime_ns]
        stamps.append([stat.st_size, *times])
    return stamps


def _is_settled(stamps: list[list[int]]) -> bool:
    """Returns whether any later change of a document will change its stamp."""
    return time.time_ns() - max((when for _, *times in stamps for when in times), default=0) > SETTLED


def _unchanged(corpus: Corpus, facts: dict[str, Any]) -> bool:
    """Returns whether the documents still have the content that these facts describe."""
    if [size for size, *_ in facts["stamps"]] != [size for size, *_ in _stamps(corpus)]:
        return False
    return _survey(corpus, Encoding("bytes"), _ProgressReport(None, 0))[1] == facts["digest"]


class _Facts(StoredModel):
    """The facts in the cache."""

    layout: Literal[2]
    stamps: list[Annotated[list[int], Field(min_length=3, max_length=3)]]
    settled: bool
    ids: Annotated[str, Field(pattern="^ids-[0-9a-f]{16}$")]  # a file in the folder, and nowhere else
    vocabulary: dict[str, Any]
    counts: list[Annotated[int, Field(ge=0, lt=2**63)]]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    replaced: Annotated[int, Field(ge=0)]


def _read_facts(folder: Path, encoding: Encoding) -> dict[str, Any] | None:
    """Returns the facts in the cache, or None if it is missing, damaged, of another layout or encoding."""
    try:
        facts = json.loads((folder / "facts.json").read_bytes())
        found = _Facts.model_validate(facts)
        size = (folder / found.ids).stat().st_size
        vocabulary = Vocabulary.from_json(found.vocabulary)
        asked = encoding.vocabulary or Vocabulary(encoding.kind, vocabulary.symbols, lower=encoding.lower)
    except (OSError, ValueError, RecursionError, VocabularyError):
        return None
    whole = vocabulary == asked and len(found.counts) == len(vocabulary)
    return facts if whole and size == sum(found.counts) * vocabulary.dtype.itemsize else None
