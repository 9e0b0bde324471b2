"""How long until the first block of a text of 2 GB, the first time and the second, and in how much memory?

The text is lines of the built-in corpus in random order (seed 0). Each measurement is a process of its own:
find the source, encode it or open what was encoded, read the first block of 16 x 128, then as many more as
`--blocks`. The text and the cache are removed.

    python benchmarks/corpus_2gb.py                 # 2 GB, about three minutes and 4 GB of disk
    python benchmarks/corpus_2gb.py --gigabytes 0.2 --kind words
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import record

LIMITS = {"first_seconds": 180, "second_seconds": 10, "peak_megabytes": 1500}
"""What issue 2 asks of a text of 2 GB."""


def make_text(path: Path, size: int) -> None:
    """Writes lines of the built-in corpus, shuffled, until there are `size` bytes."""
    from onward.data.named import find_named  # noqa: PLC0415

    built_in = find_named("pydoc")
    assert built_in is not None
    lines = built_in.read_bytes().splitlines(keepends=True)
    generator = random.Random(0)
    written = 0
    with path.open("wb") as file:
        while written < size:
            generator.shuffle(lines)
            written += file.write(b"".join(lines)[: size - written])


def measure(source: str, kind: str, blocks: int) -> dict[str, float]:
    """Seconds until the first block from the start of this process's work, and memory (MB) on the way."""
    start = time.perf_counter()
    from onward.data.corpus import find_sources  # noqa: PLC0415 - imports are part of the wait
    from onward.data.encoded import Encoding, encode_corpus  # noqa: PLC0415
    from onward.data.lanes import Lanes, unknown_shares  # noqa: PLC0415

    imports = time.perf_counter() - start
    imported = peak_megabytes()
    encoded = encode_corpus(find_sources([source]), Encoding(kind))
    shares = None if kind == "bytes" else unknown_shares(encoded.counts)
    lanes = Lanes(encoded.ids, lanes=16, steps=128, unknown=shares)
    lanes.next()
    seconds, encoding = time.perf_counter() - start, peak_megabytes()
    for _ in range(blocks):
        lanes.next()
    return {
        "seconds": round(seconds, 2),
        "import_seconds": round(imports, 2),
        "symbols": len(encoded.ids),
        "import_peak_megabytes": imported,
        "first_block_peak_megabytes": encoding,
        "peak_megabytes": peak_megabytes(),
        "microseconds_per_block": round(1e6 * (time.perf_counter() - start - seconds) / max(1, blocks), 1),
    }


def peak_megabytes() -> float:
    """The most memory that this process held so far; Linux counts in KiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--kind", choices=["characters", "bytes", "words"], default="characters")
    parser.add_argument("--blocks", type=int, default=50_000, help="read after the first one")
    parser.add_argument("--folder", help="where the text and the cache are made")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.kind, options.blocks)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        text = Path(folder, "text.txt")
        os.environ["ONWARD_CACHE"] = str(Path(folder, "cache"))
        make_text(text, int(options.gigabytes * 1e9))
        command = [sys.executable, __file__, "--measure", str(text), "--kind", options.kind]
        runs = [
            json.loads(subprocess.run([*command, "--blocks", str(blocks)], stdout=-1, check=True).stdout)
            for blocks in (0, options.blocks)
        ]
        cache = sum(path.stat().st_size for path in Path(folder, "cache").rglob("ids-*"))
    figures = {
        "first_seconds": runs[0]["seconds"],
        "second_seconds": runs[1]["seconds"],
        "peak_megabytes": max(run["peak_megabytes"] for run in runs),
    }
    question = {"gigabytes": options.gigabytes, "kind": options.kind, "blocks": options.blocks}
    record("corpus_2gb", {**question, **figures, "limits": LIMITS, "cache_bytes": cache, "runs": runs})


if __name__ == "__main__":
    main()
