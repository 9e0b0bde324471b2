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


def test_the_curve_shows_held_out_losses_that_rise_and_the_kept_check(open_page: Open) -> None:
    page = open_page()
    expect(page.locator("#curve svg")).to_be_attached()
    training = [{"step": step, "value": 0.3 + 3 / step} for step in range(1, 301)]
    validation = [
        {"step": step, "value": nats} for step, nats in ((30, 2.0), (90, 1.5), (150, 2.5), (300, 6.0))
    ]
    page.evaluate(
        "(curve) => import('/page/curve.js').then(m => m.showCurve(document.querySelector('#curve'), curve))",
        {"unit": "nats_per_symbol", "training": training, "validation": validation},
    )
    path = page.locator("#curve .line.check").get_attribute("d")
    heights = [float(place.split()[1]) for place in re.split("[ML]", path)[1:]]
    assert len(heights) == len(validation)
    assert 0 < heights[-1] < heights[2] < heights[1] < 220
    kept = page.locator("#curve circle.kept")
    assert float(kept.get_attribute("cy")) == pytest.approx(heights[1], abs=0.1)
    expect(page.locator("#curve figcaption")).to_contain_text("kept: 2.164 at step 90")


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
