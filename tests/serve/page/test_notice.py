"""What is wrong is told, and goes when it is over."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Server
from tests.serve.page.browsing import Open, browsing, expect, ghost, told, typed

pytestmark = [pytest.mark.slow, browsing]


def test_a_server_that_is_gone_is_said_and_tried_again(open_page: Open) -> None:
    page = open_page(errors=True, sockets=False)
    text = typed(page, "the ")
    page.route("**/v1/**", lambda route: route.abort())
    page.keyboard.type("sta")
    told(page, "does not answer")
    expect(text).to_have_value("the sta")
    page.unroute("**/v1/**")
    expect(page.locator("#notice")).to_be_empty()
    ghost(page)


def test_a_busy_server_is_said_and_tried_again(open_page: Open) -> None:
    page = open_page(errors=True, sockets=False)
    typed(page, "the ")
    refusal = json.dumps({"error": {"message": "too many", "code": "busy"}})
    busy = {"status": 429, "headers": {"Retry-After": "1"}, "body": refusal}
    page.route("**/edit", lambda route: route.fulfill(**busy), times=1)
    page.keyboard.type("s")
    told(page, "busy; trying again in 1 s")
    expect(page.locator("#notice")).to_be_empty()
    ghost(page)


def test_a_session_that_has_ended_is_made_again_without_a_word(open_page: Open, address: str) -> None:
    page = open_page(errors=True)
    with page.expect_websocket() as opened:
        page.reload()
    typed(page, "the s")
    page.locator("#notice").evaluate(
        "n => new MutationObserver(() => n.dataset.told = 1).observe(n, {childList: true})"
    )
    _, session = opened.value.url.removesuffix("/ws").rsplit("/", 1)
    assert httpx.delete(f"{address}v1/sessions/{session}").status_code == 204
    with page.expect_response("**/v1/sessions") as made:
        page.keyboard.type("x")
    assert made.value.request.post_data_json["text"] == "the sx"
    page.keyboard.press("Backspace")
    ghost(page)
    assert page.locator("#notice").get_attribute("data-told") is None


def test_a_token_is_asked_for(browser: Any, models: list[Path], start: Callable[..., Server]) -> None:
    token = "open s\u00e9same?>~"
    server = start(models[0], "--token", token)
    page = browser.new_page()
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - it gets an attribute
    page.goto(server.url)
    told(page, "asks for its token")
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    told(page, "asks for its token")
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_be_empty()
    typed(page, "the sta")
    ghost(page)
    assert len(sockets) == 1 and not sockets[0].is_closed()
    page.close()


def test_what_the_server_refuses_is_told_in_its_words(open_page: Open) -> None:
    page = open_page(errors=True, sockets=False)
    typed(page, "the ")
    refusal = {"message": "expected less text, got more", "code": "too_large", "hint": "shorten it"}
    page.route("**/edit", lambda route: route.fulfill(status=413, body=json.dumps({"error": refusal})))
    page.keyboard.type("s")
    told(page, "Expected less text, got more. Shorten it.")
