"""Does a damaged or hostile file ever cause anything but an error of onward?

    python benchmarks/hostile_files.py [--files 20000] [--seed 0]

Each file is a small model or detector with changes: other bytes, other values anywhere in its header (with
digests that fit, so that only the checks of the values can refuse them), or other tensors. It is loaded and
used: texts are written, completed and scored, sequences are judged, log lines are parsed. The file must be
refused with an error of onward, or all results must be finite numbers. The address space of a worker is
limited, so memory that a header asks for in vain is an error too. A worker that dies is a crash of C code.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mutations import mutated
from record import command_line, megabytes, record

if TYPE_CHECKING:
    from onward.inference.trained_model import TrainedModel
    from onward.watch.detector import Detector

KEY = "onward"
ROOM = 1 << 30
"""Bytes of address space that a worker may use beyond those that it uses before its first file."""

SLOWEST_SECONDS = 30.0
"""A worker ends if a file takes longer."""

LONGEST_MESSAGE = 2000
LEARNED_EVERY = 10
"""Every tenth model or detector that is loaded also learns, which takes longer."""

SEQUENCES = (["start", "read", "sync", "stop"], ["start", "boom", "stop"], [], ["stop"] * 40)
LINES = (
    "job 7 began on 10.0.0.1",
    "job x failed: \u00e9\x1b[31m",
    "",
    "job " + "a" * 3000,
    "key=1,2",
    '{"key": 1}',
)
FINE = ("loaded", "refused")
"""The outcomes of files that cause no problem."""


class RefusedError(Exception):
    """A file was refused. The message consists of onward's message and its hint."""


class Outcome(NamedTuple):
    """What happened to a file.

    Attributes:
        number: number of the file.
        kind: kind of the change.
        name: "loaded", "refused", or the name of a problem.
        details: describes a problem.
        megabytes: resident memory of the worker afterwards.
    """

    number: int
    kind: str
    name: str
    details: str
    megabytes: float = 0.0


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)  # folder, first number, step
    arguments = parser.parse_args()
    if arguments.worker:
        folder, first, step = arguments.worker
        work(Path(folder), arguments.seed, range(int(first), arguments.files, int(step)))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures, problems = check(Path(folder), arguments.files, arguments.seed)
    for problem in problems[:100]:
        print(problem, file=sys.stderr)
    record("hostile_files", figures)
    sys.exit(bool(problems))


def check(folder: Path, files: int, seed: int) -> tuple[dict[str, Any], list[Outcome]]:
    """Checks files in worker processes. Returns the figures and the problems.

    Args:
        folder: an empty folder for the originals and the changed files.
        files: number of files.
        seed: seed of the changes.
    """
    make_originals(folder)
    started, workers = time.monotonic(), len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda first: supervise(folder, files, seed, first, workers), range(workers))
        parts = [part for part in parts if part]
    outcomes = [outcome for part in parts for outcome in part]
    names, kinds = (Counter(getattr(each, field) for each in outcomes) for field in ("name", "kind"))
    figures = {
        "files": files,
        "seed": seed,
        "kinds": dict(sorted(kinds.items())),
        "outcomes": dict(sorted(names.items())),
        "megabytes_grown": round(max(p[-1].megabytes - p[len(p) // 10].megabytes for p in parts), 1),
        "seconds": round(time.monotonic() - started, 1),
    }
    return figures, [each for each in outcomes if each.name not in FINE]


def supervise(folder: Path, files: int, seed: int, first: int, step: int) -> list[Outcome]:
    """Runs a worker over every `step`-th file. If it dies, another one continues after the file."""
    outcomes: list[Outcome] = []
    while first < files:
        command = [sys.executable, __file__, "--files", str(files), "--seed", str(seed)]
        command += ["--worker", str(folder), str(first), str(step)]
        log = folder / f"{first}.log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process,
        ):
            assert process.stdout
            for line in process.stdout:
                outcomes.append(Outcome(*json.loads(line)))
                first = outcomes[-1].number + step
        if process.returncode and first < files:
            details = f"exit code {process.returncode}: {log.read_text(errors='replace')[-1000:]}"
            outcomes.append(Outcome(first, "unknown", "died", details))
            first += step
    return outcomes


def work(folder: Path, seed: int, numbers: range) -> None:
    """Checks files, and prints an outcome for each as a line of JSON."""
    originals = sorted(folder.glob("*.onward"))
    for path in originals:
        use(path)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + ROOM, resource.RLIM_INFINITY))
    path = folder / f"file-{numbers.start}"
    for number in numbers:
        chance = random.Random(f"{seed} {number}")
        kind, content = mutated(chance.choice(originals).read_bytes(), KEY, chance)
        path.write_bytes(content)
        faulthandler.dump_traceback_later(SLOWEST_SECONDS, exit=True)
        name, details = "loaded", ""
        try:
            use(path, learns=number % LEARNED_EVERY == 0)
        except RefusedError as error:
            name, details = "refused", str(error)
            if len(details) > LONGEST_MESSAGE or not details.isprintable() or details.endswith(" "):
                name = "unclear"
        except Exception as error:
            name, details = type(error).__name__, traced(error)
        faulthandler.cancel_dump_traceback_later()
        outcome = Outcome(number, kind, name, details[:LONGEST_MESSAGE], megabytes())
        print(json.dumps(outcome), flush=True)


def traced(error: Exception) -> str:
    """Returns an error with the last places of its traceback."""
    import traceback  # noqa: PLC0415 - only for problems

    frames = traceback.extract_tb(error.__traceback__)[-5:]
    where = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{error!r:.300} at {where}"


def address_space() -> int:
    """Returns the bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def make_originals(folder: Path) -> None:
    """Writes a small model of each layer and vocabulary, and a small detector of each format."""
    import torch  # noqa: PLC0415 - the parent of a worker needs it once

    from onward.artefact import Artefact, save  # noqa: PLC0415
    from onward.data.vocabulary import Vocabulary  # noqa: PLC0415
    from onward.model import LanguageModel, ModelConfig  # noqa: PLC0415

    text = "the cat sat on the mat, and the dog sat on the log.\n"
    layers: Any = ("gated", "lstm", "gru", "simple", "gated")
    kinds: Any = ("characters", "words", "bytes", "characters", "words")
    for number, (layer, kind) in enumerate(zip(layers, kinds, strict=True)):
        torch.manual_seed(number)
        vocabulary = Vocabulary.of_text(text, kind)
        config = ModelConfig(symbols=len(vocabulary), layer=layer, width=8, layers=1, tied=number % 2 == 1)
        facts = {
            "steps": 3,
            "corpus": {"name": "text", "symbols": 52, "ends": 0},
            "validation": {"symbols": 0},
        }
        artefact = Artefact(LanguageModel(config).eval(), vocabulary, {"name": "tiny", "rate": 0.1}, facts)
        save(artefact, folder / f"model-{number}.onward")
    for name, detector in detectors():
        detector.save(folder / f"detector-{name}.onward")


def detectors() -> list[tuple[str, Any]]:
    """Returns small detectors of columns, of log lines with keys, and of bytes."""
    from onward.training.recipe import Recipe  # noqa: PLC0415
    from onward.watch.training import LearnSettings, learn_detector  # noqa: PLC0415

    chance = random.Random(0)
    settings = LearnSettings(
        recipe=Recipe(width=8, layers=1, lanes=8, block=8), held_out=0.5, steps=20, rate=0.1
    )
    csv = {"form": "csv", "key": "key", "event": ["event"], "time": "time", "key_regex": None}
    log = {"form": "log", "key": None, "event": [], "time": None, "key_regex": r"job (\w+)"}
    others = {"symbols": "templates", "delimiter": ","}
    names = ["job <*> began on <*>", "job <*> failed: <*>", "job done"]
    normal = [["start", *chance.choices(("read", "write"), k=3), "sync", "stop"] for _ in range(40)]
    lines = [chance.choices(names, k=4) for _ in range(40)]
    texts = [list("job done"), list("job began")] * 20
    return [
        ("columns", learn_detector(normal, settings, source={"reader": csv | others, "templates": None})),
        ("log", learn_detector(lines, settings, source={"reader": log | others, "templates": names})),
        ("bytes", learn_detector(texts, settings, is_bytes=True, source={
            "reader": log | {"key_regex": None, "symbols": "bytes", "delimiter": ","}, "templates": None
        })),
        ("python", learn_detector(normal, settings)),
    ]  # fmt: skip


def use(path: Path, *, learns: bool = True) -> None:
    """Loads a file as a model and as a detector, and uses what was loaded.

    Args:
        path: the file.
        learns: whether the model and the detector also learn.

    Raises:
        Refused: the file was refused.
        Exception: the use of a loaded file failed, or a result is not finite.
    """
    from onward.artefact import is_detector, is_model  # noqa: PLC0415 - the parent needs none of it
    from onward.errors import OnwardError  # noqa: PLC0415
    from onward.inference.trained_model import TrainedModel  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415

    is_model(path)
    try:
        trained = TrainedModel.load(path)
        detector = Detector.load(path) if is_detector(path) else None
    except OnwardError as error:
        raise RefusedError(f"{error} {error.hint}") from error
    use_model(trained)
    if detector:
        use_detector(detector)
    if learns:
        learn(trained, detector)


def learn(trained: "TrainedModel", detector: "Detector | None") -> None:
    """Lets a model learn from a text, and a detector from a normal sequence."""
    from onward.inference.adapt import AdaptOptions  # noqa: PLC0415
    from onward.watch.feedback import mark_normal  # noqa: PLC0415

    as_json(trained.score("the cat sat", adapt=AdaptOptions(block=4)).to_json())
    if detector and detector.vocabulary.names:
        as_json(mark_normal(detector, detector.vocabulary.names[:3]).to_json())


def use_model(trained: "TrainedModel") -> None:
    """Writes, scores and completes with a model."""
    as_json(trained.info())
    trained.write("the ", length=6, temperature=0.7, top_k=5)
    trained.write("", length=4, temperature=0)
    as_json([score.nats for score in trained.score_symbols("the cat")])
    as_json(trained.score("the cat sat").to_json())
    as_json([each.probability for each in trained.complete("the c", n=3)])
    session = trained.session()
    session.feed("the c")
    as_json(session.next_distribution(1e-4).top(5))


def use_detector(detector: "Detector") -> None:
    """Judges sequences and watches lines with a detector."""
    from onward.watch.datasets import format_hint, parser_for  # noqa: PLC0415
    from onward.watch.evaluation.summary import summary, warnings  # noqa: PLC0415
    from onward.watch.stream.monitor import Monitor  # noqa: PLC0415

    as_json(summary(detector))
    warnings(detector, [])
    as_json([verdict.to_json() for verdict in detector.judge(SEQUENCES)])
    as_json([score.to_json() for score in detector.score_events(SEQUENCES[1])])
    format_hint(detector)
    parser, monitor = parser_for(detector), Monitor(detector)
    records = list(parser.records(line.encode() for line in LINES))
    alarms = monitor.feed(records) + monitor.end()
    as_json([alarm.to_json() for alarm in alarms])


def as_json(value: Any) -> None:
    """Raises ValueError if a number is not finite."""
    json.dumps(value, allow_nan=False)


if __name__ == "__main__":
    main()
