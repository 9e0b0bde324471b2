"""Facts, screen sizes, colours, and use with the keyboard only."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Start
from tests.serve.page.browsing import Open, browsing, expect, typed

from onward.inference.trained_model import TrainedModel

pytestmark = [pytest.mark.slow, browsing]


def test_the_page_shows_the_facts_and_the_curve_of_the_model(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    info = small.info()
    facts = page.locator("#facts")
    expect(facts).to_contain_text(f"{len(small.vocabulary)} characters")
    expect(facts).to_contain_text("text.txt")
    nats = info["facts"]["validation"]["nats_per_symbol"]
    expect(facts).to_contain_text(f"({nats:.3f} nats) per symbol")
    expect(facts).to_contain_text("per symbol")
    expect(page.locator("#curve")).to_contain_text("held-out checks (each")
    expect(page.locator("#curve svg[role=img]")).to_have_attribute("aria-label", re.compile("training from"))
    assert page.locator("#curve .smooth").first.get_attribute("d").count("L") > 5
    expect(page.locator("#model option")).to_have_text(["small", "bytes"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390])
def test_the_page_fits_on_a_phone(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=True)
    typed(page, "the state goes on where the lane ended, and " + "e" * 60)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("#keys")).to_be_hidden()
    paper = page.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
    assert paper == {"light": "rgb(252, 252, 250)", "dark": "rgb(22, 23, 26)"}[scheme]


def test_the_keyboard_reaches_everything_and_the_focus_is_visible(open_page: Open) -> None:
    page = open_page()
    typed(page, "the ")
    page.keyboard.press("Escape")
    reached = ["text"]
    while reached[-1] != "coloured":
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        assert len(reached) < 12
        shown = page.locator(":focus").evaluate(
            "e => getComputedStyle(e.closest('.editor') ?? e).outlineStyle"
        )
        assert shown != "none"
    assert {"marks", "go", "temperature", "adapt"} <= set(reached)
    page.keyboard.press("Space")
    assert page.locator("#editor").evaluate("e => e.classList.contains('plain')")
    page.locator("#go").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#go")).to_have_text("Stop")
    page.keyboard.press("Escape")
    expect(page.locator("#go")).to_have_text("Continue")


def test_the_pages_link_to_each_other_if_both_are_served(
    browser: Any, models: list[Path], audit: Path, start: Start, open_page: Open
) -> None:
    server = start(models[0], audit)
    page = browser.new_page()
    page.goto(server.url)
    page.get_by_role("link", name="Alarms").click()
    expect(page).to_have_url(f"{server.url}/watch")
    page.get_by_role("link", name="Write").click()
    expect(page).to_have_url(f"{server.url}/")
    page.close()
    alone = open_page()
    alone.locator("#facts div").first.wait_for()
    expect(alone.get_by_role("link", name="Alarms")).to_have_count(0)
