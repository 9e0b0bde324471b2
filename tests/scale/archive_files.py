"""An archive of texts and one of logs, and their figures by one process."""

import gzip
import pydoc_data.topics
import random
from pathlib import Path

TEXT = "".join(pydoc_data.topics.topics.values())


def write_texts(folder: Path, files: int) -> list[Path]:
    """Writes compressed texts of different lengths; the longest are read in parallel lanes."""
    found = []
    for number in range(files):
        path = folder / f"part{number % 3}" / f"{number:02}.txt.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 20_000 if number % 5 == 0 else 500 + 37 * number
        with gzip.open(path, "wt") as file:
            file.write(TEXT[number * 1000 : number * 1000 + size])
        found.append(path)
    return sorted(found)


def write_logs(folder: Path, sessions: list[list[str]], files: int) -> list[Path]:
    """Writes sessions as JSON lines to several files. Most sessions have records in more than one file."""
    chance = random.Random(4)
    records = [(f"s{number}", event) for number, events in enumerate(sessions) for event in events]
    order = sorted(range(len(records)), key=lambda place: place + chance.random() * 40)
    by_key: dict[str, list[str]] = {}
    for key, event in records:
        by_key.setdefault(key, []).append(event)
    keys = [records[place][0] for place in order]
    lines = [f'{{"key": "{key}", "event": "{by_key[key].pop(0)}"}}\n' for key in keys]
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(files):
        path = folder / f"{number:02}.jsonl"
        path.write_text("".join(lines[number * len(lines) // files : (number + 1) * len(lines) // files]))
        found.append(path)
    return found
