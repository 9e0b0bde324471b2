"""The command `onward lsp` itself; tests/lsp tests the language server."""

import sys
from pathlib import Path

import pytest

import onward
from onward.cli.app import run


def test_the_plugin_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lsp", "--plugin", "neovim"]) == 0
    plugin = Path(onward.__file__).parent / "lsp" / "static" / "onward.lua"
    assert capsys.readouterr().out == plugin.read_text(encoding="utf-8")


def test_without_the_extra_the_hint_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygls.lsp.server", None)
    monkeypatch.delitem(sys.modules, "onward.lsp.server", raising=False)
    assert run(["lsp"]) == 2
    problem, hint = capsys.readouterr().err.splitlines()
    assert problem == "error: expected the package pygls.lsp.server, which is not installed"
    assert hint == 'hint: install it with pip install ".[lsp]"'


@pytest.mark.parametrize("arguments", [["--plugin", "ed"], ["--memory", "many"], ["model.onward"]])
def test_wrong_arguments_are_misuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lsp", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")
