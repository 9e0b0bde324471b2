"""The streams and the console that escape what they show."""

import io
import re
from pathlib import Path

from rich.progress import Progress, TextColumn
from rich.table import Table
from tests.cli.terminal import Terminal

from onward.cli.terminal import SafeConsole, SafeStream

TITLE = "\x1b]0;title\x07"
SHOWN = r"\x1b]0;title\x07"


def test_a_stream_escapes_all_that_is_written_to_it() -> None:
    below = io.StringIO()
    stream = SafeStream(below)
    print(TITLE, "two\twords", file=stream)  # type: ignore[arg-type]
    stream.writelines(["\x9b31m", "\u202e", "\r\n"])
    assert below.getvalue() == f"{SHOWN} two\twords\n" r"\x9b31m\u202e\r" "\n"
    assert stream.isatty() is False


def test_a_console_escapes_text_and_keeps_its_own_colours_and_movements() -> None:
    below = io.StringIO()
    console = SafeConsole(file=below, force_terminal=True, color_system="standard", width=60)
    table = Table(f"name{TITLE}")
    table.add_row(f"value{TITLE}", style="red")
    console.print(table)
    with Progress(TextColumn("{task.description}"), console=console) as bar:
        bar.add_task(f"task{TITLE}")
        print(f"printed{TITLE}")
    shown = below.getvalue()
    for word in ("name", "value", "task"):
        assert rf"{word}\x1b]0;" in shown  # the rest may not fit
    assert "printed" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    assert "\x1b[31m" in shown  # the style of the row
    assert "\x1b[?25h" in shown  # the cursor is shown again


def test_a_progress_bar_is_drawn_in_a_terminal(text: Path, tmp_path: Path) -> None:
    terminal = Terminal(
        "train", text, "-o", tmp_path / "a.onward", "--recipe", "tiny", "--steps", "100", "--base", "none"
    )
    try:
        terminal.wait(lambda t: re.search(r"training .*\d%", t.text) is not None)
        assert r"\x1b" not in terminal.text
        terminal.end()
    finally:
        terminal.close()


def test_a_console_writes_through_a_stream_that_escapes() -> None:
    below = io.StringIO()
    console = SafeConsole(file=SafeStream(below), force_terminal=True, color_system="standard")  # type: ignore[arg-type]
    console.print(TITLE, style="red", highlight=False)
    assert below.getvalue() == "\x1b[31m\\x1b]0;title\x1b[0m\n"  # rich removes the bell
