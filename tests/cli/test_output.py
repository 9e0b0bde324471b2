"""Rows and facts, as they are printed."""

import pytest

from onward.cli.output import complain, emit_facts, emit_row, say


def test_a_row_is_one_line_for_any_content_of_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    emit_row({"line": 3, "nats": 0.123456, "text": "a\tb\n\x1b[2Jc\u4e2d"}, header=True)
    assert capsys.readouterr().out == "line\tnats\ttext\n3\t0.1235\ta\\tb\\n\\x1b[2Jc\u4e2d\n"


def test_only_the_first_row_has_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    emit_row({"symbol": "e"}, header=False)
    assert capsys.readouterr().out == "e\n"


def test_nested_facts_are_an_outline(capsys: pytest.CaptureFixture[str]) -> None:
    emit_facts({"parameters": 12345, "recipe": {"tied": False, "weight_decay": 0.02}, "stop": None})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["parameters", "12,345"],
        ["recipe"],
        ["tied", "no"],
        ["weight_decay", "0.02"],
        ["stop", "none"],
    ]


def test_messages_about_hostile_files_reach_the_terminal_without_controls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("column \x1b]0;title\x07\u202e of\nerror: another line")
    complain("no column 'a\x1b[2J'", hint="name\x9b one")
    assert capsys.readouterr().err == (
        "column \\x1b]0;title\\x07\\u202e of\\nerror: another line\n"
        "error: no column 'a\\x1b[2J'\nhint: name\\x9b one\n"
    )
