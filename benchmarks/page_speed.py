"""How fast does an exported page write in Chromium, compared with onward on one core?

    python benchmarks/page_speed.py MODEL TEXT

MODEL is a model file made by `onward train`, TEXT a file that it was not trained on. Page and program write
in turns with bfloat16 weights, and the figures are medians. A turn of the page is one use of "Continue":
1,000 symbols (fewer if the model ends the text), with the time to show them. Both also score the start of
TEXT.
"""

import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, sync_playwright

from onward.export.page import export_page
from onward.inference.trained_model import TrainedModel
from onward.units import nats_to_bits
from record import command_line, record

TURNS = 7
WRITTEN = 1000  # symbols of one "Continue"
SCORED = 2000
CONTINUE = """async () => {
  const [area, button] = ["text", "go"].map((id) => document.getElementById(id));
  const before = area.value.length;
  const start = performance.now();
  button.click();
  await new Promise((resolve) => new MutationObserver((_, observer) => {
    if (button.textContent !== "Continue") return;
    observer.disconnect();
    resolve();
  }).observe(button, { childList: true }));
  return [area.value.length - before, (performance.now() - start) / 1000];
}"""
"""Presses "Continue", and returns the number of characters that were written, and the seconds."""


def main() -> None:
    arguments = command_line(__doc__, "model", "text").parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")[:SCORED]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        export_page(trained, file)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        started = time.perf_counter()
        page.goto(file.as_uri())
        page.locator("#facts div").first.wait_for()
        opened = time.perf_counter() - started
        bits = scored(page, text)
        speeds: dict[str, list[float]] = {"page": [], "onward": []}
        for _ in range(TURNS):
            speeds["page"].append(continued(page))
            speeds["onward"].append(written(trained))
        versions = {"chromium": browser.version}
        browser.close()
        size = file.stat().st_size
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    nats = trained.score(text).nats_per_symbol
    figures: dict[str, Any] = {
        "parameters": trained.model.parameter_count(),
        "megabytes": round(size / 1e6, 2),
        "seconds_to_open": round(opened, 2),
        "symbols_per_second": {name: round(speed) for name, speed in medians.items()},
        "share_of_onward": round(medians["page"] / medians["onward"], 2),
        "bits_per_symbol": {"page": bits, "onward": round(nats_to_bits(nats), 2)},
    }
    record("page_speed", figures, packages=versions)


def continued(page: Page) -> float:
    """Returns the symbols a second of one "Continue" after the start of a text."""
    page.locator("#text").fill("The ")
    page.wait_for_timeout(1000)  # until the page has predicted and scored it
    characters, seconds = page.evaluate(CONTINUE)
    return characters / seconds


def written(trained: TrainedModel) -> float:
    """Returns the symbols a second of `model.stream` with the options of the page, after the first symbol."""
    pieces = trained.stream("The ", length=1 + WRITTEN, temperature=0.8, weights="bf16", ignore_end=True)
    next(pieces)
    started = time.perf_counter()
    return sum(map(len, pieces)) / (time.perf_counter() - started)


def scored(page: Page, text: str) -> float:
    """Returns the mean surprise of a text on the page, in bits per symbol, rounded to two digits."""
    page.locator("#text").fill(text)
    mean = page.locator("#mean")
    mean.filter(has_text=f"{len(text):,} symbols").wait_for()
    (bits,) = re.findall(r"([\d.]+) bits", mean.text_content() or "")
    return float(bits)


if __name__ == "__main__":
    main()
