"""How well are anomalous log lines found, by default, and by templates, words, bytes and lookup tables?

    python benchmarks/watch_logs.py DATA [--seed N] [--symbols default templates words bytes context]

DATA is the folder with logs/ and hdfs/. A detector is trained on the first half of a log, without its
anomalous lines, and scores each line of the second half by itself. As in `onward watch learn --log`, the
later half of the training lines is the calibration set. With `default`, onward detects the format, as in
`onward watch learn FILE`: the events of BGL then have a level too, and the lines of a block of HDFS are one
sequence. With `context`, a line's score is its surprise as a
template given the lines before it, in sequences of 50 lines. BGL's labels are removed from its lines; a line
of HDFS is anomalous if its block is.
"""

import gzip
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from onward.watch.calibration.statistics import auc_with_interval
from onward.watch.datasets import load_normal, load_sequences
from onward.watch.evaluation.evaluate import evaluate
from onward.watch.input.detection import FormatOptions
from onward.watch.input.format import InputFormat, LogSymbols
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, record

CONTEXT = 50
RATE = 0.01


class Line(NamedTuple):
    """A log line and its label."""

    text: str
    is_wrong: bool


def bgl(data: Path) -> list[Line]:
    """Reads BGL_2k.log and its labels."""
    lines = (data / "logs" / "BGL_2k.log").read_text(encoding="utf-8").splitlines()
    labelled = (line.partition(" ") for line in lines)
    return [Line(text, label != "-") for label, _, text in labelled]


def hdfs(data: Path) -> list[Line]:
    """Reads HDFS_2k.log with the labels of its blocks."""
    with gzip.open(data / "hdfs" / "ait_loghub_abnormal.gz", "rt", encoding="utf-8") as file:
        wrong = {line.partition(",")[0] for line in file}
    lines = (data / "logs" / "HDFS_2k.log").read_text(encoding="utf-8").splitlines()
    return [Line(line, bool(wrong & set(re.findall(r"blk_-?\d+", line)))) for line in lines]


def by_lines(
    learned: list[str], judged: list[Line], source: InputFormat | FormatOptions, seed: int
) -> dict[str, Any]:
    """Scores the sequences of lines in a format: each line by itself, or as it is detected."""
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "learned": learned,
            "normal": [line.text for line in judged if not line.is_wrong],
            "anomalous": [line.text for line in judged if line.is_wrong],
        }
        for name, lines in parts.items():
            (Path(folder) / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        loaded = load_normal([Path(folder) / "learned"], source)
        learning = LearnSettings(seed=seed, rate=RATE, in_order=True)
        is_bytes = loaded.input_format.symbols == "bytes"
        detector = learn_detector(loaded.events, learning, is_bytes=is_bytes, source=loaded.source)
        normal, wrong = (
            load_sequences(detector, [Path(folder) / name]).events for name in ("normal", "anomalous")
        )
    found = evaluate(detector, normal, {"anomalous": wrong}).to_json()
    baselines = {name: figures["auc"] for name, figures in found["baselines"].items()}
    kept = ("auc", "auc_interval", "precision", "recall", "f1", "false_alarm_rate", "normal", "anomalous")
    return {name: found[name] for name in kept} | {"auc_of_baselines": baselines}


def in_context(learned: list[str], judged: list[Line], seed: int) -> dict[str, Any]:
    """Scores each line given the lines before it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "learned"
        path.write_text("\n".join(learned) + "\n", encoding="utf-8")
        loaded = load_normal([path], InputFormat(form="log"))
        path.write_text("\n".join(line.text for line in judged) + "\n", encoding="utf-8")
        templates = [sequence.events[0] for sequence in loaded.sequences]
        detector = learn_detector(
            list(pieces(templates)), LearnSettings(seed=seed, rate=RATE, in_order=True), source=loaded.source
        )
        events = [sequence.events[0] for sequence in load_sequences(detector, [path]).sequences]
    bits = np.array([e.bits for piece in pieces(events) for e in detector.score_events(piece)[:-1]])
    wrong = np.array([line.is_wrong for line in judged])
    auc, interval = auc_with_interval(bits[~wrong], bits[wrong])
    counts = {"normal": int((~wrong).sum()), "anomalous": int(wrong.sum())}
    return {"auc": auc, "auc_interval": list(interval)} | counts


def pieces(events: list[str]) -> Iterator[list[str]]:
    """Yields sequences of `CONTEXT` lines."""
    return (events[start : start + CONTEXT] for start in range(0, len(events), CONTEXT))


def main() -> None:
    parser = command_line(__doc__, "data")
    parser.add_argument("--seed", type=int, default=0)
    every = ["default", *get_args(LogSymbols), "context"]
    parser.add_argument("--symbols", nargs="+", choices=every, default=every)
    asked = parser.parse_args()
    for name, lines in (("BGL_2k", bgl(asked.data)), ("HDFS_2k", hdfs(asked.data))):
        half = len(lines) // 2
        learned, judged = [line.text for line in lines[:half] if not line.is_wrong], lines[half:]
        for symbols in asked.symbols:
            if symbols == "context":
                found = in_context(learned, judged, asked.seed)
            else:
                by_default = symbols == "default"
                source = FormatOptions() if by_default else InputFormat(form="log", symbols=symbols)
                found = by_lines(learned, judged, source, asked.seed)
            figures = {"log": name, "symbols": symbols, "seed": asked.seed, "learned": len(learned)}
            record("watch_logs", figures | found)


if __name__ == "__main__":
    main()
