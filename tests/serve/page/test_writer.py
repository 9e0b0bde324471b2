"""The button "Continue": the model continues the text."""

from typing import Any

import pytest
from tests.serve.page.browsing import Open, browsing, expect, typed

pytestmark = [pytest.mark.slow, browsing]


HELD_STREAM = r"""() => {
  const send = window.fetch;
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let left = 0;
  let wake = () => {};
  let rest = "";
  let stopped = false;
  window.pass = () => { left += 1; wake(); };
  const parts = (event) => {
    const data = event.startsWith("data: {") ? JSON.parse(event.slice(6)) : null;
    const text = data?.choices[0]?.text;
    const pieces = text ? text.match(/[^]{1,20}/g) : [];
    const cut = pieces.map((piece) => {
      data.choices[0].text = piece;
      return `data: ${JSON.stringify(data)}`;
    });
    return text ? cut : [event];
  };
  const held = async (bytes, out) => {
    const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = events.pop();
    for (const event of events.flatMap(parts)) {
      while (!left && !stopped) await new Promise((resolve) => (wake = resolve));
      if (stopped) return;
      left -= 1;
      out.enqueue(encoder.encode(event.slice(0, 9)));
      out.enqueue(encoder.encode(`${event.slice(9)}\n\n`));
    }
  };
  window.fetch = async (...request) => {
    const response = await send(...request);
    if (!String(request[0]).endsWith("/completions")) return response;
    request[1].signal.addEventListener("abort", () => { stopped = true; wake(); });
    return new Response(response.body.pipeThrough(new TransformStream({ transform: held })), response);
  };
}"""
"""A script that lets 20 characters of a stream pass at each call of `pass()`, with each event cut in two.
Otherwise a small model finishes before a test can stop it."""


def test_writing_streams_and_stops_and_one_undo_removes_it(open_page: Open) -> None:
    page = open_page()
    text = typed(page, "the ")
    page.evaluate(HELD_STREAM)
    held: list[Any] = []
    page.on("request", lambda r: r.url.endswith("/completions") and held.append(r.post_data_json))
    page.locator("#temperature").fill("0.5")
    page.locator("#go").click()
    lengths = {0}
    for _ in range(10):
        page.evaluate("pass()")
        page.wait_for_timeout(100)
        lengths.add(len(page.locator("#ghost").text_content()))
    assert len(lengths) > 3
    expect(page.locator("#go")).to_have_text("Stop")
    page.locator("#go").click()
    expect(page.locator("#go")).to_have_text("Continue")
    written = text.input_value()
    assert len("the ") + 1000 > len(written) >= max(lengths)
    assert written.startswith("the ")
    assert held[0]["temperature"] == 0.5 and held[0]["stream"] is True
    page.wait_for_timeout(300)
    expect(text).to_have_value(written)
    text.focus()
    page.keyboard.press("Control+z")
    expect(text).to_have_value("the ")


def test_writing_ends_by_itself(open_page: Open) -> None:
    page = open_page()
    text = typed(page, "the ")
    page.locator("#go").click()
    expect(page.locator("#go")).to_have_text("Continue", timeout=30_000)
    expect(page.locator("#notice")).to_be_empty()
    assert len(text.input_value()) == 4 + 1000  # a model of one text never ends it
