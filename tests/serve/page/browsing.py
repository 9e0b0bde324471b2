"""What the tests of the page share: its text, and what they do in a browser."""

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
"""There are four ways to go on."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

browsing = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")
Open = Callable[..., Any]


@contextmanager
def pages(browser: Any, home: str, width: int, height: int) -> Iterator[Open]:
    """Opens pages of a server in fresh windows; what goes to another one, or to the console, fails the test.

    Without `sockets` the page has no WebSocket; with `errors` the console may tell of some.
    """
    strays: list[str] = []
    contexts = []

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
    """The text area after a text was typed key by key; the page has answered to the last."""
    page.locator("#facts div").first.wait_for()
    page.locator("#text").focus()
    page.keyboard.type(text)
    expect(page.locator("#mean")).to_have_text(
        re.compile(rf"^{len(page.locator('#text').input_value())} symbols")
    )
    return page.locator("#text")


def ghost(page: Any) -> str:
    """The ghost text, when there is some."""
    page.locator("#ghost:not(:empty)").wait_for()
    return page.locator("#ghost").text_content()


def told(page: Any, words: str) -> None:
    """Waits until the notice says it."""
    expect(page.locator("#notice")).to_contain_text(words)


def likeliest(model: TrainedModel, text: str, count: int = 8) -> list[str]:
    """What the page is to call the symbols that are likeliest after a text."""
    session = model.session()
    session.feed(text)
    return [named(name) for name, _ in session.next_distribution().top(count)]


def named(symbol: str) -> str:
    """What the page calls a symbol."""
    return "space" if symbol == " " else symbol
