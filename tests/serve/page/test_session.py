"""The page's session follows the typed text."""

import json
import re
from typing import Any

import pytest
from tests.serve.page.browsing import Open, browsing, expect, likeliest, named, typed, wait_for_notice

from onward.inference.trained_model import TrainedModel

pytestmark = [pytest.mark.slow, browsing]

WAYS = ("socket", "request")
SLOW = {
    "socket": """() => {
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (message) { setTimeout(() => send.call(this, message), 400); };
    }""",
    "request": """() => {
      const send = window.fetch;
      window.fetch = async (...request) => {
        if (String(request[0]).includes("/edit")) await new Promise((resolve) => setTimeout(resolve, 400));
        return send(...request);
      };
    }""",
}
"""Scripts that delay edits, over the WebSocket or over HTTP."""


def test_next_symbols_are_those_of_the_model(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    typed(page, "where the la")
    session = small.session()
    session.feed("where the la")
    expected = session.next_distribution().top(8)
    expect(page.locator("#next code")).to_have_text([named(name) for name, _ in expected])
    chance = float(page.locator("#next .chance").first.text_content().removesuffix(" %"))
    assert chance == pytest.approx(100 * expected[0][1], rel=0.06)
    width = page.locator("#next .bar i").first.evaluate("i => i.style.transform")
    assert float(width[7:-1]) == pytest.approx(expected[0][1], rel=0.01)


@pytest.mark.parametrize("way", WAYS)
def test_the_newest_edit_wins_when_replies_are_late(open_page: Open, small: TrainedModel, way: str) -> None:
    page = open_page(sockets=way == "socket")
    typed(page, "the")
    page.evaluate(SLOW[way])
    page.keyboard.type(" state go", delay=20)
    expect(page.locator("#next code")).to_have_text(likeliest(small, "the state go"))
    best = small.complete("the state go", until="word", shortest=2)[0]
    expect(page.locator("#ghost")).to_have_text(best.text)


def test_edits_in_the_middle_reach_the_server(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    text = typed(page, "the lane \U0001f600 goes")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.keyboard.type("\u00e9")
    expect(text).to_have_value("the lane \u00e9goes")
    page.keyboard.press("End")
    expect(page.locator("#next code")).to_have_text(likeliest(small, "the lane \u00e9goes"))
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    # an empty text continues as the lines of the corpus begin
    expect(page.locator("#next code")).to_have_text(likeliest(small, "\n"))


@pytest.mark.parametrize("way", WAYS)
def test_a_model_can_be_chosen_during_an_edit(open_page: Open, way: str) -> None:
    """The old session is deleted once its edit is answered, and no request fails (see `open_page`)."""
    page = open_page(sockets=way == "socket")
    typed(page, "the ")
    page.evaluate(SLOW[way])
    page.keyboard.type("s")
    page.locator("#model").select_option("bytes")
    page.locator("#facts", has_text="bytes").wait_for()
    page.wait_for_timeout(1000)
    expect(page.locator("#mean")).to_have_text(re.compile("^5 symbols"))
    expect(page.locator("#notice")).to_be_empty()


def test_edits_use_the_websocket(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    frames: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: frames.append(frame)))  # noqa: PLW0108 - playwright sets an attribute of the function
    page.reload()
    typed(page, "t")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    frames.clear()
    for key in "he la":
        page.keyboard.type(key)
        page.wait_for_timeout(50)
    expect(page.locator("#next code")).to_have_text(likeliest(small, "the la"))
    assert 1 <= len(frames) <= 5
    assert not [url for url in requests if url.endswith("/edit")]


def test_a_lost_websocket_loses_no_edit(open_page: Open, small: TrainedModel) -> None:
    """Its last edit is sent again over HTTP, like all further edits until a new WebSocket is open."""
    page = open_page()
    forwarded: list[Any] = []

    def cut_once(socket: Any) -> None:
        server = socket.connect_to_server()

        def forward(message: str) -> None:
            forwarded.append(socket)
            if len(forwarded) == 3:
                socket.close()
            else:
                server.send(message)

        socket.on_message(forward)

    page.route_web_socket("**/ws", cut_once)
    page.reload()
    edits: list[str] = []
    page.on("request", lambda request: request.url.endswith("/edit") and edits.append(request.url))
    typed(page, "t")
    for key in "he last":
        page.keyboard.type(key)
        page.wait_for_timeout(100)
    expect(page.locator("#next code")).to_have_text(likeliest(small, "the last"))
    assert len(set(forwarded)) == 2
    assert 1 <= len(edits) < len("he last")
    assert len(forwarded) > 4


def test_a_refused_adapting_session_continues_without_learning(open_page: Open, small: TrainedModel) -> None:
    page = open_page(errors=True)
    typed(page, "the la")
    refusal = {"message": "expected adapt to be false", "code": "invalid_value", "param": "adapt"}
    answer = {"status": 400, "body": json.dumps({"error": refusal})}
    page.route("**/v1/sessions", lambda route: route.fulfill(**answer), times=1)
    with page.expect_request("**/v1/sessions") as asked:
        page.get_by_label("Adapt as I type").click()
    assert asked.value.post_data_json["adapt"] is True
    wait_for_notice(page, "Expected adapt to be false")
    expect(page.get_by_label("Adapt as I type")).not_to_be_checked()
    expect(page.locator("#next code")).to_have_text(likeliest(small, "the la"))
    page.get_by_label("Adapt as I type").click()
    expect(page.locator("#notice")).not_to_contain_text("Expected adapt to be false.")


def test_a_session_that_learns_predicts_what_it_has_learned(open_page: Open, small: TrainedModel) -> None:
    page = open_page()
    text = "the lot ended, the lot ended, the lot ended, the lot ended, the l"
    typed(page, text)
    expect(page.locator("#next code")).to_have_text(likeliest(small, text))
    static = page.locator("#next").text_content()
    with page.expect_response("**/v1/sessions") as made:
        page.get_by_label("Adapt as I type").click()
    assert made.value.status == 201
    session = small.session()
    session.adapt()
    session.feed(text)
    expected = session.next_distribution().top(8)
    expect(page.locator("#next code")).to_have_text([named(name) for name, _ in expected])
    expect(page.locator("#next")).not_to_have_text(static)
    chances = page.locator("#next .chance").all_text_contents()[:3]
    shown = [float(each.removesuffix(" %").removeprefix("< ")) for each in chances]
    assert shown == pytest.approx([100 * chance for _, chance in expected[:3]], rel=0.06, abs=0.1)
    page.get_by_label("Adapt as I type").click()
    expect(page.locator("#next")).to_have_text(static)
