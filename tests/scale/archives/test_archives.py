"""`onward score --per file` and `onward watch judge` over archives, as a user runs them."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows, session
from tests.scale.archive_files import write_logs, write_texts

from onward.cli.app import run
from onward.scale.archives.engine import in_this_process
from onward.scale.archives.read_sequences import read_sequences
from onward.watch.datasets import load_sequences
from onward.watch.detector import Detector

ENGINES = [["--workers", "2"], ["--engine", "ray", "--workers", "2"]]
NAMES = ["processes", "Ray"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    write_texts(folder, 12)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of sessions."""
    folder = tmp_path_factory.mktemp("detector")
    chance = random.Random(1)
    (folder / "normal.jsonl").write_text(rows([session(chance) for _ in range(300)]))
    output = folder / "d.onward"
    learn = ["watch", "learn", str(folder / "normal.jsonl"), "-o", str(output), "--steps", "30"]
    assert run([*learn, "--event", "event", "--key", "key"]) == 0
    return output


def onward(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, which Ray and the workers end with."""
    command = [sys.executable, "-m", "onward", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))


def figures(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_workers_find_the_figures_of_one_process(engine: list[str], texts: Path) -> None:
    command = "score", "english", f"{texts}/**/*.gz", "--per", "file", "--json"
    alone, several = onward(*command), onward(*command, *engine)
    assert (alone.returncode, several.returncode) == (0, 0), several.stderr
    assert figures(several) == figures(alone)
    assert len(figures(alone)["files"]) == 12


@pytest.mark.slow
@pytest.mark.parametrize("engine", [[], *ENGINES], ids=["alone", *NAMES])
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_scored(
    engine: list[str], tmp_path: Path
) -> None:
    files = write_texts(tmp_path, 3)
    files[1].write_bytes(files[1].read_bytes()[:100])
    ran = onward("score", "english", tmp_path, "--per", "file", "--json", *engine)
    assert ran.returncode == 1
    assert [row["file"] for row in figures(ran)["files"]] == [str(files[0]), str(files[2])]
    assert f"{files[1]}" in ran.stderr
    assert "error: 1 of 3 files could not be scored" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_workers_judge_as_one_process_does(engine: list[str], detector: Path, tmp_path: Path) -> None:
    """Most sessions have records in several files, and some sessions are anomalous."""
    chance = random.Random(5)
    write_logs(tmp_path / "normal", [session(chance) for _ in range(80)], files=5)
    write_logs(tmp_path / "bad", [["start", "sync", "read", "stop"]] * 6, files=2)
    command = ["watch", "judge", detector, "--normal", tmp_path / "normal", "--anomalous", tmp_path / "bad"]
    alone, several = (onward(*command, "--json", *more) for more in ([], engine))
    assert several.returncode == 0, several.stderr
    expected, found = figures(alone), figures(several)
    assert (expected.pop("seconds"), found.pop("seconds")) > (0, 0)
    assert found == expected
    assert (found["normal"], found["anomalous"]) == (80, 6)


def test_keys_are_joined_across_files(detector: Path, tmp_path: Path) -> None:
    chance = random.Random(6)
    files = write_logs(tmp_path, [session(chance) for _ in range(40)], files=4)
    files[1].write_text(files[1].read_text() + "no JSON\n")
    files[3].write_text("no JSON\n" + files[3].read_text())
    whole = load_sequences(Detector.load(detector), files)
    parts = read_sequences(str(detector), files, in_this_process, lambda *_: None)
    assert parts.events == whole.events
    assert len(parts.events) == 40
    assert parts.unreadable == whole.unreadable
    assert whole.unreadable.count == 2


def test_a_line_without_a_key_is_a_sequence_in_each_file(tmp_path: Path) -> None:
    """The key of such a line is its number, which the lines of other files have too."""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text("start read\nstart stop\n")
    normal = tmp_path / "normal.txt"
    normal.write_text("start read\nstart stop\nstart read stop\n" * 60)
    detector = tmp_path / "d.onward"
    assert (
        run(["watch", "learn", str(normal), "-o", str(detector), "--steps", "5", "--form", "sequences"]) == 0
    )
    files = sorted(tmp_path.glob("?.txt"))
    parts = read_sequences(str(detector), files, in_this_process, lambda *_: None)
    assert parts.events == [["start", "read"], ["start", "stop"]] * 3
    assert parts.events == load_sequences(Detector.load(detector), files).events


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--workers", "2"],
            "error: expected --workers, --engine and --address only together with --per file",
        ),
        (["--per", "file", "--workers", "0"], "error: expected --workers to be at least 1, got '0'"),
        (["--per", "file", "--address", "auto"], "error: expected --address only together with --engine ray"),
        (
            ["--per", "file", "--engine", "ray", "--address", "auto", "--workers", "2"],
            "error: expected either --workers or --address, got both",
        ),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (text := tmp_path / "a.txt").write_text("some text")
    assert run(["score", "english", str(text), *options]) == 2
    assert capsys.readouterr().err.splitlines()[0] == message
