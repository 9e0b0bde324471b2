"""The command `onward`: help, version, exit codes, and the form of errors."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Command

COMMANDS = ("train", "write", "score", "novelty", "info", "lesson", "draw")


def test_help_names_every_command(onward: Command) -> None:
    ran = onward("--help")
    assert ran.code == 0
    assert all(command in ran.out for command in COMMANDS)


def test_no_command_shows_the_help(onward: Command) -> None:
    assert onward().out.strip() == onward("--help").out.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(onward: Command, command: str) -> None:
    ran = onward(command, "--help")
    assert ran.code == 0
    assert f"onward {command}" in ran.out.partition("Usage")[2].partition("\n")[2]
    assert "--json" in ran.out


def test_version(onward: Command) -> None:
    ran = onward("--version")
    assert (ran.code, ran.out.split()[0]) == (0, "onward")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["train"],
        ["write"],
        ["train", "x", "--steps", "many"],
        ["write", "x", "--nonsense"],
        ["score", "x", "y", "--per", "page"],
    ],
    ids=" ".join,
)
def test_misuse_has_exit_code_2_and_one_error_line(onward: Command, arguments: list[str]) -> None:
    ran = onward(*arguments)
    assert (ran.code, ran.out) == (2, "")
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(line.startswith(("error: ", "hint: ")) for line in ran.err.splitlines())


@pytest.mark.parametrize("command", ["info", "write", "draw"])
@pytest.mark.parametrize(
    "content",
    [None, b"", b"\0" * 100, b"not a model", b"PK\3\4"],
    ids=["missing", "empty", "zeros", "text", "zip"],
)
def test_a_file_that_is_not_a_model_is_refused_with_its_path(
    onward: Command, command: str, content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "no.onward"
    if content is not None:
        path.write_bytes(content)
    picture = ["-o", tmp_path / "picture.svg"] if command == "draw" else []
    ran = onward(command, path, *picture)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert str(path) in ran.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from onward.cli.app import run; run(['--help']); "
        "sys.exit(bool({'torch', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_loading_a_model_does_not_import_the_torch_compiler(model: Path) -> None:
    code = "import sys, onward; onward.load(sys.argv[1]); sys.exit('torch._dynamo' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, model], check=True)
