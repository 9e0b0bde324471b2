"""The text area: paste, input methods, and the layer behind it."""

import re

import pytest
from tests.serve.page.browsing import Open, browsing, expect, ghost, typed

pytestmark = [pytest.mark.slow, browsing]


def test_paste_and_undo_work(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    text = typed(page, "the state\n")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+v")
    expect(text).to_have_value("the state\nthe state\n")
    expect(page.locator("#marks")).to_have_text("the state\nthe state\n", use_inner_text=False)
    page.keyboard.press("Control+z")
    expect(text).to_have_value("the state\n")


def test_an_input_method_works(open_page: Open) -> None:
    page = open_page()
    text = typed(page, "the ")
    ghost(page)
    keyboard = page.context.new_cdp_session(page)
    keyboard.send("Input.imeSetComposition", {"text": "sta", "selectionStart": 3, "selectionEnd": 3})
    expect(page.locator("#ghost")).to_be_empty()
    expect(page.locator("#marks")).to_have_text("the sta", use_inner_text=False)
    page.wait_for_timeout(300)  # longer than an answer takes
    expect(page.locator("#ghost")).to_be_empty()
    keyboard.send("Input.insertText", {"text": "sta"})
    expect(text).to_have_value("the sta")
    ghost(page)


def test_the_layer_has_the_size_of_the_text_area(open_page: Open) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    typed(
        page,
        "the state\tgoes on where the lane ended, and so on\n\n\u00e9\u0301 \U0001f468\u200d\U0001f469 x",
    )
    parts = [page.locator(part) for part in ("#text", "#layer")]
    sizes = [part.evaluate("e => [e.clientWidth, e.scrollHeight]") for part in parts]
    assert sizes[0] == sizes[1]


def test_a_long_text_scrolls_within_its_box(open_page: Open) -> None:
    page = open_page()
    typed(page, "z")
    height = page.evaluate("document.documentElement.scrollHeight")
    page.keyboard.insert_text("z\n" * 200)
    expect(page.locator("#mean")).to_have_text(re.compile("^401 symbols"))
    expect(page.locator("#marks .newline").last).to_have_class(re.compile(r"\bs\d"))
    box = page.locator("#editor")
    assert box.evaluate("e => e.scrollTop") > 1000
    assert page.evaluate("document.documentElement.scrollHeight") < height + 600
