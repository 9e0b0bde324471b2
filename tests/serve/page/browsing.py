"""Helpers of the tests that open a page in a browser."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from onward.inference.trained_model import TrainedModel

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = api.expect
expect.set_options(timeout=20_000)

LINES = [
    f"the state goes on where the {name} ended, and so on.\n" for name in ("lane", "last", "layer", "lot")
]
TEXT = "".join(LINES[(7 * i * i + i // 3) % 4] for i in range(160))
TYPED = "the state goes on where the l"
"""A text with four likely continuations."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

browsing = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)")
Open = Callable[..., Any]


@contextmanager
def pages(browser: Any, home: str, width: int, height: int) -> Iterator[Open]:
    """Opens pages in new windows. Requests to another server, and messages on the console, fail the test.

    Without `sockets` the page has no WebSocket; with `errors` the console may show errors.
    """
    strays: list[str] = []
    contexts: list[Any] = []

    def opened(url: str = "", *, errors: bool = False, sockets: bool = True, **options: Any) -> Any:
        address = url or home
        context = browser.new_context(**{"viewport": {"width": width, "height": height}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: strays.append(str(error)))
        page.on("request", lambda r: r.url.startswith(address) or strays.append(r.url))
        if not errors:
            page.on("console", lambda message: strays.append(f"{message.text} {message.location.get('url')}"))
        if not sockets:
            page.route_web_socket("**/ws", lambda socket: socket.close())
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not strays


def typed(page: Any, text: str) -> Any:
    """Types a text, waits until the page has answered the last key, and returns the text area."""
    page.locator("#facts div").first.wait_for()
    page.locator("#text").focus()
    page.keyboard.type(text)
    expect(page.locator("#mean")).to_have_text(
        re.compile(rf"^{len(page.locator('#text').input_value())} symbols")
    )
    return page.locator("#text")


def ghost(page: Any) -> str:
    """Waits for ghost text, and returns it."""
    page.locator("#ghost:not(:empty)").wait_for()
    return page.locator("#ghost").text_content()


def wait_for_notice(page: Any, words: str) -> None:
    """Waits until the notice contains some words."""
    expect(page.locator("#notice")).to_contain_text(words)


def likeliest(model: TrainedModel, text: str, count: int = 8) -> list[str]:
    """Returns the names on the page of the most likely symbols after a text."""
    session = model.session()
    session.feed(text)
    return [named(name) for name, _ in session.next_distribution().top(count)]


def named(symbol: str) -> str:
    """Returns the name of a symbol on the page."""
    return "space" if symbol == " " else symbol
