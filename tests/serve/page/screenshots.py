"""Takes the screenshots of the documentation from a running server.

    onward serve shakespeare.onward nietzsche.onward web.onward
    python -m tests.serve.page.screenshots http://127.0.0.1:8000 docs/images

The server needs a model of English text, and a detector with alarms for the page of alarms.
"""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from tests.serve.page.browsing import CHROMIUM

TEXT = "KING RICHARD:\nI have been studying how to compare\nThis prison where I live unto the wor"
POINTED_AT = TEXT.index("compare")


def main() -> None:
    url, folder = sys.argv[1].rstrip("/"), Path(sys.argv[2])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = typed(browser, url, viewport={"width": 800, "height": 800})
        page.screenshot(path=folder / "page-light.png")
        box = page.locator("#marks i").nth(POINTED_AT).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(500)
        clip = {"x": 40, "y": 60, "width": 720, "height": 280}
        page.screenshot(path=folder / "page-detail.png", clip=clip)
        dark = {"width": 800, "height": 1280}
        typed(browser, url, viewport=dark, color_scheme="dark").screenshot(path=folder / "page-dark.png")
        phone = {"width": 360, "height": 780}
        page = typed(browser, url, viewport=phone, device_scale_factor=2, is_mobile=True, has_touch=True)
        page.screenshot(path=folder / "page-phone.png")
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.goto(f"{url}/watch")
        page.locator("#alarms summary").last.click()
        page.locator(".explanation .text").wait_for()
        page.locator("#timeline svg").wait_for()
        page.screenshot(path=folder / "watch-page.png", full_page=True)
        browser.close()


def typed(browser: Browser, url: str, **options: Any) -> Any:
    """Opens the typing page, and types the text."""
    page = browser.new_page(**options)
    page.goto(url)
    page.locator("#facts div").first.wait_for()
    page.locator("#text").focus()
    page.keyboard.type(TEXT)
    page.locator("#ghost:not(:empty)").wait_for()
    page.wait_for_timeout(1500)  # until the text is scored
    return page


if __name__ == "__main__":
    main()
