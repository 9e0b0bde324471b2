"""How long does training take to start on a text of 2 GB, and how much memory does it need?

    python benchmarks/corpus_2gb.py                 # 2 GB, about three minutes and 4 GB of disk
    python benchmarks/corpus_2gb.py --gigabytes 0.2 --symbols words

The text is made of lines of the built-in corpus in random order (seed 0). `onward train` runs twice on it;
the second run finds the encoded text in the cache. Seconds are from the start of the process to the first
step in its log; memory is the peak of the process. Text and cache are removed afterwards.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import command_line, record


def make_text(path: Path, size: int) -> None:
    """Writes shuffled lines of the built-in corpus, at least `size` bytes."""
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


def train(text: Path, symbols: str, steps: int) -> dict[str, float]:
    """Runs `onward train`; returns seconds to the first step, seconds in total, and peak memory."""
    output = text.with_suffix(".onward")
    log = text.with_suffix(".log.jsonl")
    log.unlink(missing_ok=True)
    options = ("--steps", str(steps), "--symbols", symbols)
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "onward", "train", str(text), "-o", str(output), *options],
        stderr=subprocess.DEVNULL,
    )
    while not (log.exists() and b'"stepped"' in log.read_bytes()):
        if child.poll() is not None:
            raise SystemExit(f"onward train ended with {child.returncode} before its first step")
        time.sleep(0.02)
    first = time.monotonic() - started
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"onward train ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds_to_first_step": round(first, 2),
        "seconds": round(time.monotonic() - started, 2),
        "peak_megabytes": round(usage.ru_maxrss * 1024 / 1e6, 1),  # Linux counts in KiB
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--symbols", choices=["characters", "bytes", "words"], default="characters")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--folder", help="a folder for the text and the cache")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        text = Path(folder, "text.txt")
        os.environ["ONWARD_CACHE"] = str(Path(folder, "cache"))
        make_text(text, int(options.gigabytes * 1e9))
        first, second = (train(text, options.symbols, options.steps) for _ in range(2))
        cache = sum(path.stat().st_size for path in Path(folder, "cache").rglob("ids-*"))
    figures = {
        "gigabytes": options.gigabytes,
        "symbols": options.symbols,
        "steps": options.steps,
        "first_seconds": first["seconds_to_first_step"],
        "second_seconds": second["seconds_to_first_step"],
        "peak_megabytes": max(first["peak_megabytes"], second["peak_megabytes"]),
        "cache_bytes": cache,
    }
    record("corpus_2gb", figures)


if __name__ == "__main__":
    main()
