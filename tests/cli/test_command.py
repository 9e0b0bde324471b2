"""The help of options."""

import pytest
from tests.cli.conftest import Command

COMMANDS = [[], ["train"], ["write"], ["score"], ["serve"], ["novelty"], ["watch"], ["watch", "learn"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_type_of_python_is_named(onward: Command, command: list[str]) -> None:
    ran = onward(*command, "--help")
    assert ran.code == 0
    assert "--help" in ran.out
    for name in ("bool", "<str>", "<int>", "<float>", "<path>", "list["):
        assert name not in ran.out


def test_an_option_has_a_word_for_its_value_and_a_flag_has_none(onward: Command) -> None:
    rows = {
        row.split()[1]: row.split()[2:] for row in onward("train", "--help").out.splitlines() if "--" in row
    }
    assert rows["--minutes"][:2] == ["-m", "NUMBER"]
    assert rows["--steps"][0] == "N"
    assert rows["--output"][:2] == ["-o", "PATH"]
    assert rows["--resume"][0] == "Resume"


def test_an_option_with_choices_lists_them(onward: Command) -> None:
    assert "<total|file|line|symbol>" in onward("score", "--help").out
