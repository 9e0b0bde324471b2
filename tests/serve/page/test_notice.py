"""The notice shows errors, and disappears once they are over."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Start
from tests.serve.page.browsing import Open, browsing, expect, ghost, typed, wait_for_notice

pytestmark = [pytest.mark.slow, browsing]


def test_an_offline_server_is_reported_and_tried_again(open_page: Open) -> None:
    page = open_page(errors=True, sockets=False)
    text = typed(page, "the ")
    page.route("**/v1/**", lambda route: route.abort())
    page.keyboard.type("sta")
    wait_for_notice(page, "does not answer")
    expect(text).to_have_value("the sta")
    page.unroute("**/v1/**")
    expect(page.locator("#notice")).to_be_empty()
    ghost(page)


def test_a_busy_server_is_reported_and_tried_again(open_page: Open) -> None:
    page = open_page(errors=True, sockets=False)
    typed(page, "the ")
    refusal = json.dumps({"error": {"message": "too many", "code": "busy"}})
    busy = {"status": 429, "headers": {"Retry-After": "1"}, "body": refusal}
    page.route("**/edit", lambda route: route.fulfill(**busy), times=1)
    page.keyboard.type("s")
    wait_for_notice(page, "busy. Trying again in 1 s")
    expect(page.locator("#notice")).to_be_empty()
    ghost(page)


def test_a_session_that_has_ended_is_created_again_silently(open_page: Open, address: str) -> None:
    page = open_page(errors=True)
    sockets: list[Any] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - playwright sets an attribute of the function
    page.reload()
    typed(page, "the s")
    page.locator("#notice").evaluate(
        "n => new MutationObserver(() => n.dataset.changed = 1).observe(n, {childList: true})"
    )
    _, session = sockets[-1].url.removesuffix("/ws").rsplit("/", 1)
    assert httpx.delete(f"{address}v1/sessions/{session}").status_code == 204
    with page.expect_response("**/v1/sessions") as made:
        page.keyboard.type("x")
    assert made.value.request.post_data_json["text"] == "the sx"
    page.keyboard.press("Backspace")
    ghost(page)
    assert page.locator("#notice").get_attribute("data-changed") is None


def test_the_page_asks_for_the_token(browser: Any, models: list[Path], start: Start) -> None:
    token = "open s\u00e9same?>~"
    server = start(models[0], "--token", token)
    page = browser.new_page()
    sockets: list[Any] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - playwright sets an attribute of the function
    page.goto(server.url)
    wait_for_notice(page, "needs a token")
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    wait_for_notice(page, "needs a token")
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_be_empty()
    typed(page, "the sta")
    ghost(page)
    assert len(sockets) == 1 and not sockets[0].is_closed()
    page.close()


def test_the_notice_shows_the_message_and_the_hint_of_the_server(open_page: Open) -> None:
    page = open_page(errors=True, sockets=False)
    typed(page, "the ")
    refusal = {"message": "expected less text, got more", "code": "too_large", "hint": "shorten it"}
    page.route("**/edit", lambda route: route.fulfill(status=413, body=json.dumps({"error": refusal})))
    page.keyboard.type("s")
    wait_for_notice(page, "Expected less text, got more. Shorten it.")
