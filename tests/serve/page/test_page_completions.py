"""Completions on the page: ghost text, choosing and accepting."""

import pytest
from tests.serve.page.browsing import TYPED, Open, browsing, expect, ghost, typed

from onward.inference.trained_model import TrainedModel

pytestmark = browsing


def test_ghost_text_appears_and_tab_accepts_it(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    text = typed(page, "the sta")
    first = small.complete("the sta", n=3, until="word", shortest=2)[0].text
    expect(page.locator("#ghost")).to_have_text(first)
    page.keyboard.press("Tab")
    expect(text).to_have_value(f"the sta{first}")
    page.keyboard.press("Control+z")
    expect(text).to_have_value("the sta")
    page.keyboard.press("Control+Shift+z")
    expect(text).to_have_value(f"the sta{first}")


@pytest.mark.slow
def test_arrows_choose_and_escape_hides(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    text = typed(page, TYPED)
    offered = [found.text for found in small.complete(TYPED, n=3, until="word", shortest=2)]
    assert len(offered) == 3
    expect(page.locator("#choices li")).to_have_count(3)
    for index, key in ((1, "ArrowDown"), (2, "ArrowDown"), (1, "ArrowUp")):
        page.keyboard.press(key)
        expect(page.locator("#ghost")).to_have_text(offered[index])
        expect(page.locator("#choices [aria-current] b")).to_have_text(offered[index])
    page.keyboard.press("Escape")
    expect(page.locator("#ghost")).to_be_empty()
    page.keyboard.press("ArrowUp")  # moves the caret again
    page.keyboard.press("Tab")
    expect(text).to_have_value(TYPED)
    expect(text).not_to_be_focused()


@pytest.mark.slow
def test_tapping_a_completion_accepts_it(open_page: Open) -> None:
    page = open_page(has_touch=True)
    text = typed(page, TYPED)
    second = page.locator("#choices button").nth(1)
    word = second.locator("b").text_content()
    second.tap()
    expect(text).to_have_value(f"{TYPED}{word}")
    expect(text).to_be_focused()


@pytest.mark.slow
def test_there_is_no_ghost_text_before_other_text(open_page: Open) -> None:
    page = open_page()
    typed(page, "the sta")
    ghost(page)
    page.keyboard.press("Home")
    expect(page.locator("#ghost")).to_be_empty()
    expect(page.locator("#choices li")).to_have_count(0)
    page.keyboard.press("End")
    ghost(page)
