"""`onward complete` with a prime, and with lines of a pipe."""

import gzip
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from onward.cli.app import run
from onward.inference.completion.options import Completion, Completions
from onward.inference.session import Session


def test_complete_with_a_prime(onward: Command, model: Path) -> None:
    ran = onward("complete", model, "--prime", "the sta", "-n", "3", "--json")
    assert ran.code == 0
    assert ran.json["prime"] == "the sta"
    assert ran.json["completions"][0].keys() == {"text", "probability"}
    rows = onward("complete", model, "--prime", "the sta", "-n", "3").out.splitlines()
    assert rows[0] == "prime\ttext\tprobability"
    assert len(rows) == 1 + len(ran.json["completions"])
    adapted = onward("complete", model, "--prime", "the lane " * 20 + "the la", "--adapt", "--json")
    assert (
        adapted.json["completions"]
        != onward("complete", model, "--prime", "the lane " * 20 + "the la", "--json").json["completions"]
    )


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_note_says_when_the_search_was_cut_short(
    is_exact: bool, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Completions((Completion("lane", 0.5),), is_exact, 1234)
    monkeypatch.setattr(Session, "complete", lambda *_, **__: found)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["complete", str(model), "--prime", "the "]) == 0
    out, err = capsys.readouterr()
    assert out.split() == ["probability", "completion", "0.5000", "lane"]
    assert ("may be more likely" in err and "1,234" in err) is not is_exact


def test_complete_warns_about_unknown_symbols(onward: Command, model: Path) -> None:
    assert onward("complete", model, "--prime", "the \u4e16\u754c").err.startswith(
        "the model does not know 2 of the prime's symbols"
    )
    assert onward("complete", model, "--prime", "the ").err == ""


def test_lines_of_a_pipe_are_completed_one_by_one(onward: Command, model: Path) -> None:
    ran = onward("complete", model, "-n", "1", "--json", data=b"the sta\nthe la")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 2
    assert onward("complete", model, data=b"").out == ""


def test_invalid_bytes_of_a_pipe_are_replaced_with_a_warning(onward: Command, model: Path) -> None:
    ran = onward("complete", model, "-n", "1", "--json", data=b"the sta\ncaf\xe9 \xef\xbf\xbd the sta\r\n")
    assert ran.code == 0
    assert ran.json["prime"] == "caf\ufffd \ufffd the sta"
    assert ran.err == "line 2: 1 invalid bytes, read as the unknown symbol\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lines_of_a_pipe_may_have_a_byte_order_mark(onward: Command, model: Path, encoding: str) -> None:
    expected = onward("complete", model, "-n", "1", data=b"the sta\nthe la").out
    assert onward("complete", model, "-n", "1", data="the sta\nthe la".encode(encoding)).out == expected
    packed = gzip.compress("the sta\nthe la".encode(encoding))
    assert onward("complete", model, "-n", "1", data=packed).out == expected


def test_complete_refuses_a_wrong_boundary(onward: Command, model: Path) -> None:
    for until in ("page", "-3", "0"):
        ran = onward("complete", model, "--prime", "a", "--until", until)
        assert (ran.code, ran.out) == (2, "")
        assert "word, line, or a number above 0" in ran.err
