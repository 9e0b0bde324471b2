"""`onward complete --follow` answers lines of JSON as the server's sessions answer requests."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command

from onward.api import load


def answers(onward: Command, model: Path, *lines: Any, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    ran = onward("complete", model, "--follow", *options, data=text.encode())
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


def texts(answer: dict[str, Any]) -> list[str]:
    return [one["text"] for one in answer["completions"]]


def test_edits_are_answered_in_order(onward: Command, model: Path) -> None:
    found = answers(
        onward,
        model,
        {"text": "the sta"},
        {"insert": "t"},
        {"at": 7, "delete": 1},
        {"at": 0, "insert": "\U0001f600 ", "cursor": 9},
        {"completions": 1, "next": 2},
        {},
    )
    assert [(each["version"], each["length"], each["cursor"]) for each in found] == [
        (0, 7, 7), (1, 8, 8), (2, 7, 7), (3, 9, 9), (3, 9, 9), (3, 9, 9),
    ]  # fmt: skip
    assert texts(found[2]) == texts(found[0])
    assert found[4] == found[5]
    assert (len(found[5]["completions"]), len(found[5]["next"])) == (1, 2)
    assert texts(found[0]) == [one.text for one in load(model).complete("the sta", n=5, shortest=2)]


def test_a_wrong_line_gets_an_error_and_changes_nothing(onward: Command, model: Path) -> None:
    edits = [{"at": 99}, {"version": 7, "insert": "x"}, {"forget": True}]
    lines = ["{", "[]", '{"insert": 5}', '{"what": 1}', *edits, "x" * (3 << 20)]
    found = answers(onward, model, {"text": "the"}, *lines, {})
    assert len(found) == len(lines) + 2
    assert all(each["error"]["message"] for each in found[1:-1])
    assert found[3]["error"]["param"] == "insert"
    assert found[6]["error"]["code"] == "version_conflict"
    assert found[8]["error"]["code"] == "too_large"
    assert (found[-1]["version"], found[-1]["length"]) == (0, 3)


OPTIONS = {(): None, ("--memory", "0"): None, ("--adapt",): 1, ("--adapt", "--memory", "0"): 1}


@pytest.mark.parametrize("options", OPTIONS)
def test_what_learns_is_chosen(onward: Command, model: Path, options: tuple[str, ...]) -> None:
    limits = ("--count", "2", "--until", "3")
    (found,) = answers(onward, model, {"text": "the lane goes on " * 3}, options=(*options, *limits))
    assert found["learned"] == OPTIONS[options]
    assert all(len(text) <= 3 for text in texts(found))
    assert len(texts(found)) <= 2


def test_a_prime_is_refused(onward: Command, model: Path) -> None:
    ran = onward("complete", model, "--follow", "--prime", "a")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: expected --follow without --prime")
    assert onward("complete", "missing.onward", "--follow").code == 2
