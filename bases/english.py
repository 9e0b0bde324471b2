"""Trains the base model `english`, from which `onward train` begins when a text is English.

    python bases/english.py [--resume]

The text is `../shared/data/english` (`$ONWARD_SHARED_DATA`), whose README lists sources and licences: public
domain, CC0 and CC BY 4.0. `ATTRIBUTION.md` goes with the model. Training takes 40 to 80 minutes on two cores.

Some parts are left out (`Source.left_out`), so that benchmarks can score text that the base has not read. Of
books and other long collections, only some documents are used, so that no kind of text is more than a third.
"""

import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from base_training import train_base, wants_resume

DATA = Path(os.environ.get("ONWARD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / "english"
SHORTEST_DOCUMENT = 200
"""Shorter pages are mostly headings and links."""


class Source(NamedTuple):
    """A file of documents, and which of them to use.

    Attributes:
        file: name of the file, without suffixes.
        every: use one document in this many.
        left_out: ranges of characters that the base must not read.
    """

    file: str
    every: int
    left_out: tuple[tuple[int, int], ...]


SOURCES = (
    Source("literature", 4, ((4_990_000, 5_320_000),)),
    Source("govweb", 1, ((990_000, 1_170_000), (5_990_000, 6_140_000))),
    Source("techdocs", 1, ((1_990_000, 3_120_000),)),
    Source("textbooks", 4, ((19_990_000, 20_120_000),)),
    Source("chat_irc", 1, ((0, 1_120_000), (7_000_000, 12_000_000))),
    Source("chat_taskmaster4", 1, ((500_000, 600_000),)),
)
SCHEDULE = "10133,2328:6000"
"""Steps of 4,096 symbols, 0.6 epochs in all. The learning rates fall faster from step 2,328 on."""


def main() -> None:
    train_base("english", documents(), unread(), steps=SCHEDULE, resume=wants_resume(__doc__))


def documents() -> Iterator[tuple[str, str]]:
    """Yields the names and texts of the documents to train on."""
    for source in SOURCES:
        for number, text in enumerate(documents_of(source)):
            yield f"{source.file}-{number:05}", text


def unread() -> Iterator[tuple[str, str]]:
    """Yields the parts that are left out."""
    for source in SOURCES:
        text = read(source)
        for start, stop in source.left_out:
            yield f"{source.file} from {start:,}", text[start:stop]


def documents_of(source: Source) -> Iterator[str]:
    """Yields the documents to train on; a document that touches a part that is left out is cut there."""
    text = read(source)
    kept = [0, *(place for part in source.left_out for place in part), len(text)]
    parts = [text[start:stop] for start, stop in zip(kept[::2], kept[1::2], strict=True)]
    found = [document for part in parts for document in part.split("\n\n\n")]
    for document in found[:: source.every]:
        if len(document) >= SHORTEST_DOCUMENT:
            yield document.strip() + "\n"


def read(source: Source) -> str:
    """Returns the whole text of a source."""
    with lzma.open(DATA / f"{source.file}.txt.xz", "rt", encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
