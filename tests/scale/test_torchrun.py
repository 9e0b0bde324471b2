import signal
from pathlib import Path

import pytest
from tests.scale.launched import SMALL, Launched, errors, wait_until, write_text

from onward import artefact
from onward.outputs import checkpoint_path

pytestmark = pytest.mark.slow

LONG = [*SMALL, "--steps", "600"]
"""A run of some seconds."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "words.txt")


@pytest.fixture(scope="module")
def undisturbed(text: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model of the long run by two processes."""
    output = tmp_path_factory.mktemp("undisturbed") / "m.onward"
    with Launched(2, text, "-o", output, *LONG, folder=output.parent) as run:
        code, messages = run.end()
    assert code == 0, messages
    return output.read_bytes()


def test_any_number_of_processes_writes_the_same_bytes(text: Path, tmp_path: Path) -> None:
    models: dict[int, bytes] = {}
    for processes in (0, 1, 2, 4):
        output = tmp_path / str(processes) / "m.onward"
        output.parent.mkdir()
        settings = [*SMALL, "--epochs", "2.5", *(() if processes else ("--set", "shards=4"))]
        with Launched(processes, text, "-o", output, *settings, folder=tmp_path) as run:
            code, messages = run.end()
        assert code == 0, messages
        assert errors(messages) == []
        assert messages.count("held-out loss") >= 1
        assert messages.count("\ntrained on") == 1  # one process reports
        models[processes] = output.read_bytes()
        assert sorted(file.name for file in output.parent.iterdir()) == [
            "m.curves.png", "m.log.jsonl", "m.onward",
        ]  # fmt: skip
    assert len(set(models.values())) == 1
    trained = artefact.load(tmp_path / "2" / "m.onward")
    assert (trained.recipe["shards"], trained.facts["threads"]) == (4, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_resumes_with_any_number_of_processes(
    number: int, text: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    with Launched(2, text, "-o", output, *LONG, folder=tmp_path) as run:
        run.wait_for_checkpoint(output)
        run.stop(number)
        _, messages = run.end()
    assert "stopped at step" in messages
    assert len(errors(messages)) == 1
    assert f"onward train {text} -o {output} --resume" in errors(messages)[0]
    again = 4 if number == signal.SIGINT else 0
    with Launched(again, text, "-o", output, "--resume", folder=tmp_path) as run:
        code, messages = run.end()
    assert code == 0, messages
    assert "resumed at step" in messages
    assert output.read_bytes() == undisturbed


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_in_one_line_that_says_how_to_resume(
    rank: int, text: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    with Launched(4, text, "-o", output, *LONG, folder=tmp_path) as run:
        run.wait_for_checkpoint(output)
        run.kill(rank)
        code, messages = run.end()
    assert code != 0
    assert errors(messages) == [
        "error: one of the 4 processes of this run has ended",
        f"hint: continue with the same command and --resume (the run is saved in {checkpoint_path(output)})",
    ]
    assert not output.exists()
    with Launched(2, text, "-o", output, "--resume", folder=tmp_path) as run:
        code, messages = run.end()
    assert code == 0, messages
    assert output.read_bytes() == undisturbed


def test_torchrun_restarts_a_run_by_itself(text: Path, undisturbed: bytes, tmp_path: Path) -> None:
    """The checkpoint of an earlier run is not resumed."""
    output = tmp_path / "m.onward"
    options = ("--max-restarts", "2")
    checkpoint_path(output).write_bytes(b"another run")
    with Launched(2, text, "-o", output, *LONG, folder=tmp_path, options=options) as run:
        run.wait_for_checkpoint(output)
        first = run.pid(1)
        run.kill(1)
        wait_until(lambda: restarted(run, first))
        code, messages = run.end()
    assert code == 0, messages
    assert "resumed at step" in messages
    assert output.read_bytes() == undisturbed


def restarted(run: Launched, before: int) -> bool:
    try:
        return run.pid(1) != before
    except (AssertionError, OSError):  # the processes are just being started
        return False


@pytest.mark.parametrize(
    ("processes", "settings", "message"),
    [
        (3, [], "error: expected a number of processes that divides the 4 shards of this run, got 3"),
        (
            2,
            ["--set", "shards=1"],
            "error: expected a number of processes that divides the 1 shards of this run, got 2",
        ),
        (2, ["--lanes", "6"], "error: expected a multiple of 4 lanes, because the run has 4 shards, got 6"),
        (2, ["--rate", "-1"], "error: rate must be a number from 0 to 10, got -1.0"),
    ],
)
def test_wrong_settings_are_reported_once(
    processes: int, settings: list[str], message: str, text: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.onward"
    with Launched(processes, text, "-o", output, *SMALL, "--steps", "9", *settings, folder=tmp_path) as run:
        code, messages = run.end()
    assert code != 0
    assert [line for line in errors(messages) if line.startswith("error")] == [message]
    assert not output.exists()
