"""Trains the base model `english`, from which `onward train` begins when a text is English.

    python bases/english.py [--resume]

The text is `../shared/data/english` (`$ONWARD_SHARED_DATA`), whose README lists sources and licences: public
domain, CC0 and CC BY 4.0. `ATTRIBUTION.md` goes with the model. It takes 40 to 80 minutes on two cores.

Some parts are left out (`Source.left_out`), so that benchmarks can score text that the base has not read. Of
books and other long collections, only some documents are used, so that no kind of text is more than a third.
"""

import argparse
import lzma
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

import onward
from onward.artefact import save

ROOT = Path(__file__).parents[1]
TRAINED, SHIPPED = ROOT / "build" / "english.onward", ROOT / "src" / "onward" / "bases" / "english.onward"
LONGEST_SCORED = 100_000
"""Number of characters to score of each part that is left out."""

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
"""Steps of 4,096 symbols; six tenths of the text. The learning rates fall faster from step 2,328 on."""

RARE = 100
"""Characters that occur less often are not part of the vocabulary."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    options = parser.parse_args()
    TRAINED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "english")
        folder.mkdir()
        for source in SOURCES:
            for number, document in enumerate(documents(source)):
                Path(folder, f"{source.file}-{number:05}.txt").write_text(document, encoding="utf-8")
        model = onward.train(
            folder,
            output=TRAINED,
            base="none",
            steps=SCHEDULE,
            lanes=64,
            dropout=0.0,
            noise=0.0,
            min_count=RARE,
            precision="bf16",
            resume=options.resume,
            observer=report,
        )
    save(model.artefact, SHIPPED, dtype=torch.bfloat16)
    shipped = onward.load(SHIPPED)
    for source in SOURCES:
        for start, stop in source.left_out:
            text = read(source)[start:stop][:LONGEST_SCORED]
            print(
                f"{source.file} from {start:,}: {shipped.score(text).nats_per_symbol:.3f} nats per character"
            )


def documents(source: Source) -> Iterator[str]:
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


def report(event: object) -> None:
    """Prints the checks of the run."""
    if type(event).__name__ in {"Started", "Validated"}:
        print(event, flush=True)


if __name__ == "__main__":
    main()
