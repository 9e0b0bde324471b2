"""How many log lines per second does a watch read, and how much memory do 100,000 open sequences take?

    python benchmarks/watch_stream.py [--lines 200000] [--keys 100000]

Raw lines: the lines of HDFS_2k.log, repeated with new block ids that about twenty lines share. They are
masked, matched with templates, grouped by block and scored, once without a state file and once with one. Open
sequences: one event of each key in turn, and no sequence ends; the memory is that of the process, and its
growth.
"""

import itertools
import random
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onward.watch.datasets import load_normal, parser_for
from onward.watch.detector import Detector
from onward.watch.input.format import InputFormat
from onward.watch.input.records import Record
from onward.watch.stream.delivery import AlarmDelivery
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.runner import Runner, open_lines
from onward.watch.stream.store import WatchStore
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, megabytes, record

LOG = Path(__file__).parents[2] / "shared" / "data" / "logs" / "HDFS_2k.log"
EVENTS_PER_KEY = 5
LINES_PER_BLOCK = 20
AT_ONCE = 2000


def raw_lines(log: Path, count: int) -> Iterator[str]:
    """Yields lines of a log with new block ids."""
    lines = log.read_text(encoding="utf-8").splitlines()
    chance = random.Random(0)
    for i, line in zip(range(count), itertools.cycle(lines), strict=False):
        block = (i // (100 * LINES_PER_BLOCK)) * 100 + chance.randrange(100)  # a hundred at a time
        yield re.sub(r"blk_-?\d+", f"blk_{block}", line)


def reading(log: Path, lines: int, folder: Path) -> dict[str, Any]:
    """Measures the way from raw lines to alarms."""
    normal, new = folder / "normal.log", folder / "new.log"
    normal.write_text("\n".join(raw_lines(log, 20_000)) + "\n", encoding="utf-8")
    new.write_text("\n".join(raw_lines(log, lines)) + "\n", encoding="utf-8")
    loaded = load_normal([str(normal)], InputFormat(form="log", key_regex=r"blk_-?\d+"))
    detector = learn_detector(loaded.events, LearnSettings(held_out=0.5, steps=200), source=loaded.source)
    found: dict[str, Any] = {"lines": lines, "megabytes_read": round(new.stat().st_size / 2**20, 1)}
    for name, path in (("lines_per_second", None), ("lines_per_second_with_state", folder / "watch.db")):
        store = WatchStore(path)
        lines_of_file, delivery = open_lines(str(new), store), AlarmDelivery(store, lambda alarm: None)
        runner = Runner(Monitor(detector, store), parser_for(detector), lines_of_file, delivery)
        started = time.perf_counter()
        runner.run()
        found[name] = round(lines / (time.perf_counter() - started))
        store.close()
    return found


def interleaved(keys: int) -> dict[str, Any]:
    """Measures many open sequences."""
    chance = random.Random(0)
    detector: Detector = learn_detector(
        [[chance.choice("abcdef") for _ in range(10)] for _ in range(400)],
        LearnSettings(held_out=0.5, steps=50),
    )
    monitor = Monitor(detector, WatchStore())
    before, started = megabytes(), time.perf_counter()
    numbers = itertools.count(1)
    records = (
        Record(f"host-{key}", chance.choice("abcdef"), None, f"line of host-{key}", next(numbers))
        for _ in range(EVENTS_PER_KEY)
        for key in range(keys)
    )
    while batch := list(itertools.islice(records, AT_ONCE)):
        monitor.feed(batch)
        monitor.commit()
    seconds = time.perf_counter() - started
    return {
        "keys_in_flight": monitor.in_flight,
        "megabytes_grown": round(megabytes() - before),
        "megabytes_in_all": round(megabytes()),
        "megabytes_at_most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "events_per_second_interleaved": round(EVENTS_PER_KEY * keys / seconds),
    }


def main() -> None:
    options = command_line(__doc__)
    options.add_argument("--lines", type=int, default=200_000)
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--log", type=Path, default=LOG)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = reading(asked.log, asked.lines, Path(folder))
    record("watch_stream", found | interleaved(asked.keys))


if __name__ == "__main__":
    main()
