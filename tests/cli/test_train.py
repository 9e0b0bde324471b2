"""`onward train`: from real files to a model, and its errors."""

import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Command

import onward as library
from onward.training.trainer import StepResult, Trainer

Process = Callable[..., "subprocess.Popen[bytes]"]
TINY = ("--recipe", "tiny", "--steps", "6")


def leftovers(folder: Path) -> set[str]:
    """Returns the files in a folder without the text and the cache."""
    return {path.name for path in folder.iterdir()} - {"text.txt", "cache"}


def test_json_has_the_documented_fields(onward: Command, text: Path, tmp_path: Path) -> None:
    ran = onward("train", text, "-o", tmp_path / "a.onward", *TINY, "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    made = ran.json
    assert {"model", "recipe", "parameters", "steps", "symbols", "seconds", "validation"} <= set(made)
    assert (made["recipe"], made["steps"]) == ("tiny", 6)
    validation = made["validation"]
    assert validation["bits_per_symbol"] == pytest.approx(validation["nats_per_symbol"] / math.log(2))


def test_messages_go_to_standard_error_and_name_the_next_commands(
    onward: Command, text: Path, tmp_path: Path
) -> None:
    ran = onward("train", text, "-o", tmp_path / "a.onward", *TINY)
    assert (ran.code, ran.out) == (0, "")
    for part in ("held-out loss", "nats", "bits per symbol", "onward write", "onward score", "onward info"):
        assert part in ran.err
    assert leftovers(tmp_path) == {"a.onward", "a.log.jsonl", "a.curves.png"}


def test_the_model_is_named_after_the_source(
    onward: Command, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert onward("train", text, *TINY).code == 0
    assert (tmp_path / "text.onward").is_file()


def test_a_pattern_that_matches_nothing_is_reported_before_the_missing_name(
    onward: Command, text: Path, tmp_path: Path
) -> None:
    assert "cannot derive a model name" in onward("train", tmp_path / "*.txt", *TINY).err
    assert "found none" in onward("train", tmp_path / "*.rst", *TINY).err


def test_standard_input_needs_a_name(onward: Command, tmp_path: Path, text: Path) -> None:
    assert onward("train", "-", data=text.read_bytes()).code == 2
    path = tmp_path / "a.onward"
    assert onward("train", "-", "-o", path, *TINY, data=text.read_bytes()).code == 0
    assert library.load(path).info()["facts"]["corpus"]["symbols"] == len(text.read_text())


def test_options_and_set_reach_the_recipe(onward: Command, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onward"
    options = ("--width", "24", "--lower", "--rate", "0.004", "--set", "clip=0.5", "--set", "block=8")
    assert onward("train", text, "-o", path, *TINY, *options).code == 0
    recipe = library.load(path).info()["recipe"]
    assert {name: recipe[name] for name in ("width", "lower", "rate", "clip", "block")} == {
        "width": 24, "lower": True, "rate": 0.004, "clip": 0.5, "block": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        (["--recipe", "transformer"], "transformer"),
        (["--set", "clip"], "NAME=VALUE"),
        (["--set", "depth=3"], "depth"),
        (["--set", "clip=-1"], "clip"),
        (["--steps", "0"], "steps"),
        (["--minutes", "1", "--epochs", "2"], "minutes"),
        (["--minutes", "nan"], "minutes"),
        (["--dropout", "1.5"], "dropout"),
        (["--noise", "0.7"], "noise"),
        (["--symbols", "syllables"], "syllables"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_wrong_settings_exit_with_2_and_write_nothing(
    onward: Command, text: Path, tmp_path: Path, options: list[str], reported: str
) -> None:
    ran = onward("train", text, "-o", tmp_path / "a.onward", *options)
    assert ran.code == 2
    assert reported in ran.err
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "missing"])
def test_an_empty_or_missing_text_exits_with_2_and_writes_nothing(
    onward: Command, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "text_2.txt"
    if content is not None:
        path.write_bytes(content)
    ran = onward("train", path, "-o", tmp_path / "a.onward", *TINY)
    assert ran.code == 2
    assert ran.err.count("error: ") == 1
    assert leftovers(tmp_path) <= {"text_2.txt"}


@pytest.mark.parametrize(
    "content",
    [b"a\0\0b" * 300, b"\xff\xfe\x80" * 300, b"one\r\ntwo\r\n" * 100, b"x" * 100_000, b"x"],
    ids=["NUL bytes", "invalid UTF-8", "CRLF", "one long line", "one symbol"],
)
def test_hostile_text_can_be_trained_on(onward: Command, tmp_path: Path, content: bytes) -> None:
    path, model = tmp_path / "hostile.txt", tmp_path / "a.onward"
    path.write_bytes(content)
    assert onward("train", path, "-o", model, *TINY).code == 0
    assert onward("write", model, "--prime", "\u00e9\U0001f600", "--length", "5").code == 0
    assert onward("score", model, path, "--json").json["symbols"] > 0


def test_a_folder_is_reported_with_read_and_skipped_files(onward: Command, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"some text \xff and more of it. " * 20)
    (folder / "b.txt").write_text("another text, also read. " * 20)
    (folder / "c.bin").write_bytes(b"\0\1\2")
    ran = onward("train", folder, "-o", tmp_path / "a.onward", *TINY)
    assert "read 2 files" in ran.err
    assert "1 hidden or binary file skipped" in ran.err
    assert "20 bytes replaced by the unknown symbol" in ran.err


def test_resume_without_a_checkpoint_warns_and_trains(onward: Command, text: Path, tmp_path: Path) -> None:
    ran = onward("train", text, "-o", tmp_path / "a.onward", *TINY, "--resume")
    assert ran.code == 0
    assert "a.onward.checkpoint: this run starts from the beginning" in ran.err


@pytest.mark.slow
def test_many_short_epochs_give_few_lines(onward: Command, text: Path, tmp_path: Path) -> None:
    ran = onward(
        "train", text, "-o", tmp_path / "a.onward", "--recipe", "tiny", "--width", "16", "--epochs", "40"
    )
    assert ran.code == 0
    assert 1 <= ran.err.count("starts: the state is reset") < 5


@pytest.mark.slow
def test_a_run_resumed_after_ctrl_c_gives_the_same_model(
    process: Process, text: Path, tmp_path: Path
) -> None:
    steps = ("--recipe", "tiny", "--steps", "200", "--set", "precision=fp32")
    whole, stopped = tmp_path / "whole.onward", tmp_path / "stopped.onward"
    child = process("train", text, "-o", stopped, *steps)
    log = tmp_path / "stopped.log.jsonl"
    wait_until(lambda: log.exists() and b'"stepped"' in log.read_bytes())
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=180)
    assert child.returncode == 130, said
    assert b"--resume" in said
    assert not stopped.exists()
    for arguments in (("-o", stopped, "--resume"), ("-o", whole)):
        child = process("train", text, *arguments, *steps)
        _, said = child.communicate(timeout=180)
        assert child.returncode == 0, said
    assert stopped.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_a_second_run_to_the_same_output_is_refused(process: Process, text: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.onward"
    first = process("train", text, "-o", output, "--recipe", "tiny", "--steps", "100000")
    try:
        log = tmp_path / "a.log.jsonl"
        wait_until(lambda: log.exists() and b'"stepped"' in log.read_bytes())
        second = process("train", text, "-o", output, *TINY)
        _, said = second.communicate(timeout=180)
        assert second.returncode == 2
        assert b"error: " in said
        assert str(output).encode() in said
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.slow
def test_a_full_disk_exits_with_1_and_keeps_the_old_model(
    process: Process, text: Path, model: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not permit mounts")
    try:
        before = model.read_bytes()
        (disk / "a.onward").write_bytes(before)
        child = process("train", text, "-o", disk / "a.onward", *TINY, "--width", "256")
        _, said = child.communicate(timeout=180)
        assert child.returncode == 1, said
        assert said.count(b"error: ") == 1
        assert b"No space left" in said
        assert (disk / "a.onward").read_bytes() == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_log_has_the_losses_as_json_lines(onward: Command, text: Path, tmp_path: Path) -> None:
    onward("train", text, "-o", tmp_path / "a.onward", *TINY)
    lines = [json.loads(line) for line in (tmp_path / "a.log.jsonl").read_text().splitlines()]
    stepped = [line for line in lines if line["event"] == "stepped"]
    assert [line["step"] for line in stepped] == list(range(1, 7))
    assert all(line["nats_per_symbol"] > 0 for line in stepped)
    assert lines[-1]["event"] == "finished"


def test_a_model_that_will_be_replaced_is_reported(onward: Command, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onward"
    assert "replaces" not in onward("train", text, "-o", path, *TINY).err
    assert f"{path} is a finished model; this run replaces it" in onward("train", text, "-o", path, *TINY).err


def test_the_suggested_prime_comes_from_the_text(onward: Command, text: Path, tmp_path: Path) -> None:
    assert "--prime 'the state '" in onward("train", text, "-o", tmp_path / "a.onward", *TINY).err
    code = tmp_path / "code.py"
    code.write_text("# 1\n\nimport os\n" * 200)
    assert "--prime 'import os'" in onward("train", code, "-o", tmp_path / "a.onward", *TINY).err
    ran = onward("train", "-", "-o", tmp_path / "a.onward", *TINY, data=text.read_bytes())
    assert "--prime" not in ran.err


def test_the_final_loss_is_explained(onward: Command, text: Path, tmp_path: Path) -> None:
    said = onward("train", text, "-o", tmp_path / "a.onward", *TINY).err
    assert "pieces from all parts of the text" in said.partition("held-out loss  ")[2]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_timed_run_prints_the_options_that_repeat_it(
    onward: Command, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumes: bool
) -> None:
    timed, again = tmp_path / "timed.onward", tmp_path / "again.onward"
    small = ("train", text, "--width", 16, "--layers", 1)
    advance = Trainer.advance

    def stop_after_two(trainer: Trainer) -> StepResult:
        if trainer.step == 2:
            raise KeyboardInterrupt
        return advance(trainer)

    if resumes:
        with monkeypatch.context() as patch:
            patch.setattr("onward.training.checkpointer.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
            patch.setattr(Trainer, "advance", stop_after_two)
            assert onward(*small, "-o", timed, "--minutes", 0.05).code == 130
    resume = ("--resume",) if resumes else ()
    said = onward(*small, "-o", timed, "--minutes", 0.05, *resume).err
    options = said.partition("the same command with ")[2].split()
    assert "precision=" in options[-1]
    onward(*small, "-o", again, *options)
    assert again.read_bytes() == timed.read_bytes()


@pytest.mark.slow
def test_the_base_can_be_set_as_any_hyperparameter(onward: Command, text: Path, tmp_path: Path) -> None:
    said = onward("train", text, "--set", "base=none", "--explain").err
    assert "settings for this text" in said
    assert "base model" not in said


def test_explain_and_resume_are_not_given_together(onward: Command, text: Path) -> None:
    ran = onward("train", text, "--explain", "--resume")
    assert ran.code == 2
    assert "expected --explain or --resume" in ran.err


def test_special_symbols_are_not_counted(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "text_2.txt"
    path.write_text("abcabcabca")
    said = onward("train", path, "-o", tmp_path / "a.onward", *TINY).err
    assert " 3 different symbols" in said
    assert "10 symbols to train on" in said
    assert "too short" in said
    path.write_text("x")
    said = onward("train", path, "-o", tmp_path / "a.onward", *TINY).err
    assert " 1 different symbol," in said
    assert "1 symbol to train on" in said


@pytest.mark.slow
def test_the_command_to_resume_is_printed(
    process: Process, onward: Command, text: Path, tmp_path: Path
) -> None:
    path, log = tmp_path / "a.onward", tmp_path / "a.log.jsonl"
    child = process("train", text, "-o", path, "--recipe", "tiny", "--steps", "60")
    wait_until(lambda: log.exists() and b'"stepped"' in log.read_bytes())
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=180)[1].decode()
    assert f"continue with: onward train {text} -o {path} --resume\n" in said
    ran = onward("train", text, "-o", path, "--resume")
    assert ran.code == 0
    assert "s since it resumed at step" in ran.err


def test_ctrl_c_before_the_first_step_saves_nothing(
    onward: Command, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onward.training.train.measure_speed", interrupt)  # before the first step
    ran = onward("train", text, "-o", tmp_path / "a.onward", *TINY)
    assert ran.code == 130
    assert ran.err.splitlines()[-1] == "stopped before the first checkpoint: nothing is saved"
    assert leftovers(tmp_path) == {"a.log.jsonl"}


def wait_until(condition: Callable[[], bool], seconds: float = 180) -> None:
    """Returns as soon as the condition is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never became true"
        time.sleep(0.05)
