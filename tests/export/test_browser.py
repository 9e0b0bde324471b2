"""An exported page in Chromium, opened from disk, without a server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.export.conftest import Exported
from tests.serve.page.browsing import TEXT, TYPED, Open, browsing, expect, ghost, likeliest, typed
from tests.serve.page.browsing import pages as opened_pages

import onward
from onward.data.vocabulary import SymbolKind
from onward.export.page import export_page
from onward.units import nats_to_bits

pytestmark = [pytest.mark.slow, browsing]


@pytest.fixture
def characters(pages: dict[SymbolKind, Exported]) -> Exported:
    return pages["characters"]


@pytest.fixture
def open_page(browser: Any, characters: Exported) -> Iterator[Open]:
    """Opens the page of characters. A request, or a message on the console, fails the test."""
    with opened_pages(browser, characters.page.as_uri(), 1280, 900) as opened:
        yield opened


def test_typing_shows_completions_next_symbols_and_surprise(open_page: Open, characters: Exported) -> None:
    page = open_page()
    area = typed(page, TYPED)
    session = characters.trained.session(memory=0)
    best = session.complete(TYPED, n=3, shortest=2, floor=0.01)
    assert ghost(page) == best[0].text
    expect(page.locator("#choices b")).to_have_text([each.text for each in best])
    names = page.locator("#next code").all_text_contents()
    assert len(names) == 8
    assert names[:4] == likeliest(characters.trained, TYPED, 4)
    expect(page.locator("#marks i[class^=s], #marks i[class^=' s']")).to_have_count(len(TYPED))
    page.keyboard.press("Tab")
    expect(area).to_have_value(TYPED + best[0].text)
    page.keyboard.press("Control+z")
    expect(area).to_have_value(TYPED)


@pytest.mark.parametrize("kind", ["bytes", "words"])
def test_bytes_and_words_are_completed_too(
    open_page: Open, pages: dict[SymbolKind, Exported], kind: SymbolKind
) -> None:
    page = open_page(pages[kind].page.as_uri())
    page.locator("#facts div").first.wait_for()
    page.locator("#text").focus()
    page.keyboard.type(TYPED)
    best = pages[kind].trained.session(memory=0).complete(TYPED, n=3, shortest=2, floor=0.01)
    expect(page.locator("#choices b")).to_have_text([each.text for each in best])


def test_the_mean_surprise_of_a_long_text_is_that_of_onward(open_page: Open, characters: Exported) -> None:
    page = open_page()
    page.locator("#facts div").first.wait_for()
    page.locator("#text").fill(TEXT[:2000])
    bits = nats_to_bits(characters.trained.score(TEXT[:2000]).nats_per_symbol)
    expect(page.locator("#mean")).to_have_text(f"2,000 symbols, {bits:.2f} bits per symbol")


def test_the_page_continues_the_text_and_the_same_seed_repeats_it(open_page: Open) -> None:
    page = open_page()
    area = typed(page, "the ")
    texts = []
    for _ in range(2):
        page.locator("#seed").fill("3")
        page.locator("#go").click()
        expect(area).to_have_value(re.compile(r"^the .{200}", re.DOTALL))
        expect(page.locator("#go")).to_have_text("Continue")
        texts.append(area.input_value())
        area.focus()
        page.keyboard.press("Control+z")
        expect(area).to_have_value("the ")
    assert texts[0] == texts[1]
    assert len(texts[0]) == len("the ") + 1000


def test_writing_stops_at_once_and_keeps_the_text(open_page: Open, tmp_path: Path) -> None:
    export_page(onward.load("english"), tmp_path / "english.html")
    page = open_page((tmp_path / "english.html").as_uri())
    area = typed(page, "the ")
    page.keyboard.press("Escape")
    page.evaluate(  # stops at the first text that appears
        """() => new MutationObserver((_, observer) => {
          if (!document.querySelector("#ghost.written:not(:empty)")) return;
          observer.disconnect();
          document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
        }).observe(document.querySelector("#ghost"), { childList: true })"""
    )
    page.locator("#go").click()
    expect(area).to_have_value(re.compile("^the .", re.DOTALL))
    expect(page.locator("#go")).to_have_text("Continue")
    assert len(area.input_value()) < 500
    assert area.is_editable()


def test_the_page_shows_the_facts_and_the_curve(open_page: Open, characters: Exported) -> None:
    page = open_page()
    nats = characters.trained.info()["facts"]["validation"]["nats_per_symbol"]
    expect(page.locator("#facts")).to_contain_text(f"({nats:.3f} nats) per symbol")
    expect(page.locator("#curve svg[role=img]")).to_have_attribute("aria-label", re.compile("training from"))
    expect(page.locator("#model option")).to_have_text(["characters"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390])
def test_the_page_fits_on_a_phone(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=True)
    typed(page, "the state goes on where the lane ended, and " + "e" * 60)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_every_control(open_page: Open) -> None:
    page = open_page()
    typed(page, "the ")
    page.keyboard.press("Escape")
    reached = ["text"]
    while reached[-1] != "coloured":
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        assert len(reached) < 12
    assert {"marks", "go", "temperature", "seed"} <= set(reached)


def test_every_control_has_a_name_for_screen_readers(open_page: Open) -> None:
    page = open_page()
    page.locator("#facts div").first.wait_for()
    for role, name in (
        ("textbox", "Your text"),
        ("button", "Continue"),
        ("slider", "Temperature"),
        ("spinbutton", "Seed"),
        ("checkbox", "Show surprise"),
        ("combobox", "Model"),
    ):
        expect(page.get_by_role(role, name=name)).to_be_visible()


def test_a_browser_without_webassembly_is_told(open_page: Open, characters: Exported) -> None:
    page = open_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.reload()
    expect(page.locator("#notice")).to_contain_text("This browser cannot run the model: ")
    expect(page.locator("#notice")).to_contain_text("Open the page in a newer browser.")


def test_a_pasted_text_of_150_000_characters_can_be_edited(open_page: Open) -> None:
    page = open_page()
    area = page.locator("#text")
    area.fill("the state " * 15_000)
    expect(page.locator("#marks > i")).to_have_count(150_000)
    area.press("End")
    area.press("x")
    expect(page.locator("#marks > i")).to_have_count(150_001)
