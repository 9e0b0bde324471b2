"""The line editor of `onward complete` in a real terminal."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import Terminal

import onward
from onward.inference.trained_model import TrainedModel

LEFT, UP, DOWN, RIGHT, HOME, ESCAPE = "\x1b[D", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[H", "\x1b"
TAB, ENTER, BACKSPACE, INTERRUPT, END_OF_INPUT = "\t", "\r", "\x7f", "\x03", "\x04"
Open = Callable[..., Terminal]


@pytest.fixture
def terminal(model: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(*arguments: object, **options: str) -> Terminal:
        opened.append(Terminal("complete", model, *arguments, **options))
        opened[-1].wait(lambda t: t.line == ">")
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def trained(model: Path) -> TrainedModel:
    return onward.load(model)


def offered(trained: TrainedModel, text: str, count: int = 5) -> list[str]:
    """Returns the continuations that the editor should suggest, the likeliest first."""
    found = trained.session(weights="fp32").complete(text, n=count, until="word")
    return [one.text for one in found if one.text.isprintable()]


def assert_left_as_found(terminal: Terminal, code: int) -> None:
    """Checks the exit code, and that the terminal is back in its normal state."""
    ended, settings = terminal.end()
    assert ended == code
    assert {"echo", "icanon", "isig", "icrnl", "opost"} <= settings
    assert terminal.shows_cursor
    assert "Traceback" not in terminal.text


@pytest.mark.slow
def test_tab_accepts_and_arrows_choose_in_line_after_line(terminal: Open, trained: TrainedModel) -> None:
    t = terminal()
    t.press("the sta")
    first = offered(trained, "the sta")[0]
    t.wait(lambda t: t.ghost == first)
    assert t.line == f"> the sta{first}"
    t.press(TAB)
    t.wait(lambda t: t.line.startswith(f"> the sta{first}") and t.ghost != first)
    started = next(text for text in ("the ", "where the ", "t", "s", "w") if len(offered(trained, text)) > 1)
    first, second, *_ = offered(trained, started)
    t.press("\x15" + started)  # Ctrl-U empties the line
    t.wait(lambda t: t.ghost == first)
    t.press(DOWN)
    t.wait(lambda t: t.ghost == second)
    t.press(UP)
    t.wait(lambda t: t.ghost == first)
    t.press(DOWN + TAB)
    t.wait(lambda t: t.line.startswith(f"> {started}{second}"))
    t.press(BACKSPACE * len(started + second) + "whe")
    rest = offered(trained, "whe")[0]
    t.wait(lambda t: t.line == f"> whe{rest}" and t.ghost == rest)
    t.press("\x1f" * 200)  # Ctrl-_ undoes, as far back as it goes
    t.wait(lambda t: t.line == ">")
    t.press("the " + ENTER)
    t.wait(lambda t: t.line == ">")
    session = trained.session(weights="fp32")
    session.feed("the \n")
    t.press("the l")
    t.wait(lambda t: t.ghost == session.complete("the l", n=1)[0].text)
    t.press("\x15" + END_OF_INPUT)
    assert_left_as_found(t, 0)


@pytest.mark.slow
def test_no_suggestion_in_the_middle_of_a_line_and_escape_hides_it(
    terminal: Open, trained: TrainedModel
) -> None:
    t = terminal()
    t.press("the sta")
    first = offered(trained, "the sta")[0]
    t.wait(lambda t: t.ghost == first)
    t.press(LEFT)
    t.wait(lambda t: t.line == "> the sta")
    t.press(RIGHT)
    t.wait(lambda t: t.ghost == first)
    t.press(RIGHT)  # at the end of the line it accepts the suggestion, as in a shell
    t.wait(lambda t: t.line.startswith(f"> the sta{first}") and t.ghost != first)
    t.press("\x15the st")
    before = offered(trained, "the st")[0]
    t.wait(lambda t: t.ghost == before)
    t.press(ESCAPE)
    t.wait(lambda t: t.line == "> the st")
    t.press(TAB + "a")  # there is nothing to take
    t.wait(lambda t: t.line == f"> the sta{first}" and t.ghost == first)
    t.press(INTERRUPT)
    assert_left_as_found(t, 130)


@pytest.mark.slow
def test_a_dumb_terminal_reads_plain_lines(terminal: Open) -> None:
    t = terminal(term="dumb")
    t.press("the sta" + ENTER)
    t.wait(lambda t: t.line == ">")
    t.press(END_OF_INPUT)
    assert_left_as_found(t, 0)


@pytest.mark.slow
def test_end_of_input_and_interrupt_in_the_middle_of_a_line(terminal: Open) -> None:
    t = terminal(term="dumb")
    t.press("the" + INTERRUPT)
    assert_left_as_found(t, 130)
