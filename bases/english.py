"""Trains the base model `english`, from which `onward train` begins when a text is English.

    python bases/english.py [-o english.full.onward] [--resume]

The text is `../shared/data/english` (`$ONWARD_SHARED_DATA`), whose README lists sources and licences: public
domain, CC0 and CC BY 4.0. `ATTRIBUTION.md` goes with the model. It takes 40 to 80 minutes on two cores.

Some parts are left out, so that benchmarks can score text that the base has not read: `LEFT_OUT`. Books and
long collections are thinned out, so that no kind of text is more than a third of all.
"""

import argparse
import lzma
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import onward

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
    parser.add_argument("-o", "--output", type=Path, default=Path("src/onward/bases/english.onward"))
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "english")
        folder.mkdir()
        for source in SOURCES:
            for number, document in enumerate(documents(source)):
                Path(folder, f"{source.file}-{number:05}.txt").write_text(document, encoding="utf-8")
        model = onward.train(
            folder,
            output=options.output,
            steps=SCHEDULE,
            resume=options.resume,
            min_count=RARE,
            precision="bf16",
            observer=report,
        )
    print(model.artefact.facts)


def documents(source: Source) -> Iterator[str]:
    """Yields the documents to train on; a document that touches a part that is left out is cut there."""
    text = lzma.open(DATA / f"{source.file}.txt.xz", "rt", encoding="utf-8").read()
    kept = [0, *(place for part in source.left_out for place in part), len(text)]
    parts = [text[start:stop] for start, stop in zip(kept[::2], kept[1::2], strict=True)]
    found = [document for part in parts for document in part.split("\n\n\n")]
    for document in found[:: source.every]:
        if len(document) >= SHORTEST_DOCUMENT:
            yield document.strip() + "\n"


def report(event: object) -> None:
    """Prints the checks of the run."""
    if type(event).__name__ in {"Started", "Validated"}:
        print(event, flush=True)


if __name__ == "__main__":
    main()
