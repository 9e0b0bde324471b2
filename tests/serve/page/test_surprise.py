"""The colours behind the text, and the details of a symbol."""

import re

import pytest
from tests.serve.page.browsing import Open, browsing, expect, typed

from onward.inference.trained_model import TrainedModel

pytestmark = [pytest.mark.slow, browsing]


def test_pointing_at_a_symbol_shows_what_was_expected(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    typed(page, "the state zoes")
    session = small.session(memory=0)
    session.feed("the state ")
    expected = session.next_distribution().top(3)
    (nats,) = session.feed("z")
    mark = page.locator("#marks i").nth(10)
    step = min(int(nats / 0.6931471805599453), 9)
    expect(mark).to_have_class(re.compile(rf"\bs{step}\b"))
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    detail = page.locator("#detail")
    expect(detail).to_contain_text(f"{nats / 0.6931471805599453:.2f} bits")
    rows = ["space" if name == " " else name for name, _ in expected]
    expect(detail.locator("td:first-child")).to_have_text(rows)
    page.mouse.move(2, 2)
    expect(detail).to_be_hidden()


def test_arrow_keys_move_from_symbol_to_symbol(open_page: Open) -> None:
    page = open_page()
    typed(page, "the state on")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#marks")).to_be_focused()
    expect(page.locator("#detail b")).to_have_text("n")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail b")).to_have_text("o")
    page.keyboard.press("Home")
    expect(page.locator("#detail b")).to_have_text("t")
    expect(page.locator("#detail td")).to_have_count(6)
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_the_bytes_of_a_character_share_one_mark(open_page: Open) -> None:
    page = open_page()
    page.locator("#model").select_option("bytes")
    page.locator("#facts", has_text="bytes").wait_for()
    page.locator("#text").focus()
    page.keyboard.type("a\u00e9\U0001f600b")
    expect(page.locator("#mean")).to_have_text(re.compile("^8 symbols"))
    expect(page.locator("#marks i")).to_have_text(["a", "\u00e9", "\U0001f600", "b"])
    for mark in page.locator("#marks i").all():
        expect(mark).to_have_class(re.compile(r"\bs\d"))
