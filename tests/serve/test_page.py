"""The page, typed into in a real browser, with the real server behind it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import onward
from onward.cli.app import run
from onward.data.vocabulary import Vocabulary
from onward.inference.trained import TrainedModel
from onward.serve.page import POLICY, assets

api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = api.expect
expect.set_options(timeout=20_000)

LINES = [
    f"the state goes on where the {name} ended, and so on.\n" for name in ("lane", "last", "layer", "lot")
]
TEXT = "".join(LINES[(7 * i * i + i // 3) % 4] for i in range(160))
TYPED = "the state goes on where the l"
"""There are four ways to go on."""

COMMAND = [sys.executable, "-m", "onward"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
START = 60.0
"""Seconds that a server may take to start."""

browsing = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")
Open = Callable[..., Any]


class References(HTMLParser):
    """What an HTML file refers to, and the names of its attributes and elements."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src"):
                self.targets.append(value)
            if name == "id":
                self.ids.append(value)
        if tag == "script":
            assert dict(attrs)["src"]


def test_every_file_of_the_page_is_there_and_none_is_from_elsewhere() -> None:
    found = assets()
    page = References(found["/"].content.decode())
    assert {f"/{target}" for target in page.targets} <= set(found)
    assert not {"style", "onclick", "onload"} & page.attributes
    for path, asset in found.items():
        text = asset.content.decode()
        assert text.count("\n") < 300, path
        assert not re.search(r"https?://(?!www\.w3\.org/)|url\(|@import|innerHTML|eval\(", text), path
        for name in re.findall(r'from "\./(.+?)"', text):
            assert f"/page/{name}" in found
        assert set(re.findall(r'\$\("(\w+)"\)', text)) <= set(page.ids)
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of one text, by characters and by bytes."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    paths = [folder / "small.onward", folder / "bytes.onward"]
    for path, kind in zip(paths, ("characters", "bytes"), strict=True):
        arguments = ["train", folder / "text.txt", "-o", path, "--recipe", "tiny", "--steps", "60"]
        assert run([str(argument) for argument in [*arguments, "--set", f"symbols={kind}"]]) == 0
    return paths


@pytest.fixture(scope="module")
def model(models: list[Path]) -> TrainedModel:
    return onward.load(models[0])


@contextmanager
def serving(folder: Path, *arguments: object) -> Iterator[str]:
    """The address of a server while it runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*COMMAND, "serve", *map(str, arguments), "--port", str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ONWARD_CACHE": str(folder)}
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        end = time.monotonic() + START
        while not answers(port):
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def address(models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("serve"), *models) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address: str) -> Iterator[Open]:
    """Opens the page in a fresh window; what goes to another server, or to the console, fails the test."""
    strays: list[str] = []
    contexts = []

    def opened(*, errors: bool = False, **options: Any):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: strays.append(str(error)))
        page.on("request", lambda r: r.url.startswith(address) or strays.append(r.url))
        if not errors:
            page.on("console", lambda message: strays.append(f"{message.text} {message.location.get('url')}"))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not strays


def typed(page, text: str) -> Any:
    """The text area after a text was typed key by key; the page has answered to the last."""
    page.locator("#facts div").first.wait_for()
    page.locator("#text").focus()
    page.keyboard.type(text)
    expect(page.locator("#mean")).to_have_text(
        re.compile(rf"^{len(page.locator('#text').input_value())} symbols")
    )
    return page.locator("#text")


SLOW_EDITS = """() => {
  const send = window.fetch;
  window.fetch = async (...request) => {
    if (String(request[0]).includes("/edit")) await new Promise((resolve) => setTimeout(resolve, 400));
    return send(...request);
  };
}"""


def ghost(page) -> str:
    """The ghost text, when there is some."""
    page.locator("#ghost:not(:empty)").wait_for()
    return page.locator("#ghost").text_content()


@pytest.mark.slow
@browsing
class TestTyping:
    def test_ghost_text_appears_and_tab_accepts_it(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        text = typed(page, "the sta")
        first = model.complete("the sta", n=3, until="word")[0].text
        expect(page.locator("#ghost")).to_have_text(first)
        page.keyboard.press("Tab")
        expect(text).to_have_value(f"the sta{first}")
        page.keyboard.press("Control+z")
        expect(text).to_have_value("the sta")
        page.keyboard.press("Control+Shift+z")
        expect(text).to_have_value(f"the sta{first}")

    def test_arrows_choose_and_escape_hides(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        text = typed(page, TYPED)
        offered = [found.text for found in model.complete(TYPED, n=3, until="word")]
        assert len(offered) == 3
        expect(page.locator("#choices li")).to_have_count(3)
        for index, key in ((1, "ArrowDown"), (2, "ArrowDown"), (1, "ArrowUp")):
            page.keyboard.press(key)
            expect(page.locator("#ghost")).to_have_text(offered[index])
            expect(page.locator("#choices [aria-current] b")).to_have_text(offered[index])
        page.keyboard.press("Escape")
        expect(page.locator("#ghost")).to_be_empty()
        page.keyboard.press("ArrowUp")  # the text area's own again
        page.keyboard.press("Tab")
        expect(text).to_have_value(TYPED)
        expect(text).not_to_be_focused()

    def test_a_completion_is_accepted_by_pointing(self, open_page: Open) -> None:
        page = open_page(has_touch=True)
        text = typed(page, TYPED)
        second = page.locator("#choices button").nth(1)
        word = second.locator("b").text_content()
        second.tap()
        expect(text).to_have_value(f"{TYPED}{word}")
        expect(text).to_be_focused()

    def test_there_is_no_ghost_text_before_other_text(self, open_page: Open) -> None:
        page = open_page()
        typed(page, "the sta")
        ghost(page)
        page.keyboard.press("Home")
        expect(page.locator("#ghost")).to_be_empty()
        expect(page.locator("#choices li")).to_have_count(0)
        page.keyboard.press("End")
        ghost(page)

    def test_next_symbols_are_those_of_the_model(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        typed(page, "where the la")
        session = model.session()
        session.feed("where the la")
        expected = session.next_distribution().top(8)
        names = ["space" if name == " " else name for name, _ in expected]
        expect(page.locator("#next code")).to_have_text(names)
        chance = float(page.locator("#next .chance").first.text_content().removesuffix(" %"))
        assert chance == pytest.approx(100 * expected[0][1], rel=0.06)
        width = page.locator("#next .bar i").first.evaluate("i => i.style.transform")
        assert float(width[7:-1]) == pytest.approx(expected[0][1], rel=0.01)

    def test_the_newest_edit_wins_when_replies_are_late(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        typed(page, "the")

        def late(route) -> None:
            time.sleep(0.3)
            route.continue_()

        page.route("**/edit", late, times=1)
        page.keyboard.type(" state goe", delay=20)
        session = model.session()
        session.feed("the state goe")
        (first, _), *_ = session.next_distribution().top(1)
        expect(page.locator("#next code").first).to_have_text(first)
        expect(page.locator("#ghost")).to_have_text(model.complete("the state goe", until="word")[0].text)

    def test_edits_in_the_middle_arrive(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        text = typed(page, "the lane \U0001f600 goes")
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
        page.keyboard.type("\u00e9")
        expect(text).to_have_value("the lane \u00e9goes")
        page.keyboard.press("End")
        session = model.session()
        session.feed("the lane \u00e9goes")
        names = ["space" if name == " " else name for name, _ in session.next_distribution().top(8)]
        expect(page.locator("#next code")).to_have_text(names)
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        names = ["space" if name == " " else name for name, _ in model.session().next_distribution().top(8)]
        expect(page.locator("#next code")).to_have_text(names)

    def test_a_model_may_be_chosen_while_an_edit_is_on_its_way(self, open_page: Open) -> None:
        """Its session is given back once, when it is answered: no request finds it gone (see `open_page`)."""
        page = open_page()
        typed(page, "the ")
        page.evaluate(SLOW_EDITS)
        page.keyboard.type("s")
        page.locator("#model").select_option("bytes")
        page.locator("#facts", has_text="bytes").wait_for()
        page.wait_for_timeout(1000)
        expect(page.locator("#mean")).to_have_text(re.compile("^5 symbols"))
        expect(page.locator("#notice")).to_be_empty()

    def test_paste_is_not_broken(self, open_page: Open) -> None:
        page = open_page(permissions=["clipboard-read", "clipboard-write"])
        text = typed(page, "the state\n")
        page.keyboard.press("Control+a")
        page.keyboard.press("Control+c")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Control+v")
        expect(text).to_have_value("the state\nthe state\n")
        expect(page.locator("#marks")).to_have_text("the state\nthe state\n", use_inner_text=False)
        page.keyboard.press("Control+z")
        expect(text).to_have_value("the state\n")

    def test_an_input_method_is_not_disturbed(self, open_page: Open) -> None:
        page = open_page()
        text = typed(page, "the ")
        ghost(page)
        keyboard = page.context.new_cdp_session(page)
        keyboard.send("Input.imeSetComposition", {"text": "sta", "selectionStart": 3, "selectionEnd": 3})
        expect(page.locator("#ghost")).to_be_empty()
        expect(page.locator("#marks")).to_have_text("the sta", use_inner_text=False)
        page.wait_for_timeout(300)  # an answer would have come by now
        expect(page.locator("#ghost")).to_be_empty()
        keyboard.send("Input.insertText", {"text": "sta"})
        expect(text).to_have_value("the sta")
        ghost(page)


@pytest.mark.slow
@browsing
class TestHeat:
    def test_pointing_at_a_symbol_tells_what_was_expected(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        typed(page, "the state zoes")
        session = model.session()
        session.feed("the state ")
        expected = session.next_distribution().top(3)
        (nats,) = session.feed("z")
        mark = page.locator("#marks i").nth(10)
        step = min(int(nats / 0.6931471805599453), 9)
        expect(mark).to_have_class(re.compile(rf"\bs{step}\b"))
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        detail = page.locator("#detail")
        expect(detail).to_contain_text(f"{nats / 0.6931471805599453:.2f} bits")
        rows = ["space" if name == " " else name for name, _ in expected]
        expect(detail.locator("td:first-child")).to_have_text(rows)
        page.mouse.move(2, 2)
        expect(detail).to_be_hidden()

    def test_arrow_keys_go_from_symbol_to_symbol(self, open_page: Open) -> None:
        page = open_page()
        typed(page, "the state on")
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        expect(page.locator("#marks")).to_be_focused()
        expect(page.locator("#detail b")).to_have_text("n")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#detail b")).to_have_text("o")
        page.keyboard.press("Home")
        expect(page.locator("#detail b")).to_have_text("t")
        expect(page.locator("#detail td")).to_have_count(6)
        page.keyboard.press("Escape")
        expect(page.locator("#detail")).to_be_hidden()

    def test_bytes_are_put_together(self, open_page: Open) -> None:
        page = open_page()
        page.locator("#model").select_option("bytes")
        page.locator("#facts", has_text="bytes").wait_for()
        page.locator("#text").focus()
        page.keyboard.type("a\u00e9\U0001f600b")
        expect(page.locator("#mean")).to_have_text(re.compile("^8 symbols"))
        expect(page.locator("#marks i")).to_have_text(["a", "\u00e9", "\U0001f600", "b"])
        for mark in page.locator("#marks i").all():
            expect(mark).to_have_class(re.compile(r"\bs\d"))

    def test_layer_and_text_area_lie_on_each_other(self, open_page: Open) -> None:
        page = open_page(viewport={"width": 390, "height": 800})
        typed(
            page,
            "the state\tgoes on where the lane ended, and so on\n\n\u00e9\u0301 \U0001f468\u200d\U0001f469 x",
        )
        parts = [page.locator(part) for part in ("#text", "#layer")]
        sizes = [part.evaluate("e => [e.clientWidth, e.scrollHeight]") for part in parts]
        assert sizes[0] == sizes[1]

    def test_a_long_text_scrolls_within_its_box(self, open_page: Open) -> None:
        page = open_page()
        typed(page, "z")
        height = page.evaluate("document.documentElement.scrollHeight")
        page.keyboard.insert_text("z\n" * 200)
        expect(page.locator("#mean")).to_have_text(re.compile("^401 symbols"))
        expect(page.locator("#marks .newline").last).to_have_class(re.compile(r"\bs\d"))
        box = page.locator("#editor")
        assert box.evaluate("e => e.scrollTop") > 1000
        assert page.evaluate("document.documentElement.scrollHeight") < height + 600


@pytest.mark.slow
@browsing
class TestWriting:
    @pytest.mark.xfail(
        reason="nothing comes through the slowed network in 20 s since a model of one text writes on"
    )
    def test_it_streams_and_stops_and_one_undo_takes_it_back(self, open_page: Open) -> None:
        page = open_page()
        text = typed(page, "the ")
        held = []
        page.route(
            "**/v1/completions", lambda route: held.append(route.request.post_data_json) or route.continue_()
        )
        network = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": 20_000, "uploadThroughput": -1}
        network.send("Network.enable")
        network.send(
            "Network.emulateNetworkConditions", slow
        )  # the model would be done before one can stop it
        page.locator("#temperature").fill("0.5")
        page.locator("#go").click()
        expect(page.locator("#go")).to_have_text("Stop")
        lengths = set()
        while len(lengths) < 3:
            lengths.add(len(ghost(page)))
        expect(page.locator("#go")).to_have_text("Stop")
        page.locator("#go").click()
        expect(page.locator("#go")).to_have_text("Write on")
        written = text.input_value()
        assert len("the ") + 1000 > len(written) >= max(lengths)
        assert written.startswith("the ")
        assert held[0]["temperature"] == 0.5 and held[0]["stream"] is True
        page.wait_for_timeout(300)
        expect(text).to_have_value(written)
        text.focus()
        page.keyboard.press("Control+z")
        expect(text).to_have_value("the ")

    def test_it_ends_by_itself(self, open_page: Open) -> None:
        page = open_page()
        text = typed(page, "the ")
        page.locator("#go").click()
        expect(page.locator("#go")).to_have_text("Write on", timeout=30_000)
        expect(page.locator("#notice")).to_be_empty()
        assert len(text.input_value()) >= 4 + 100  # the model may end the text before it has written 1,000


def told(page, words: str) -> None:
    expect(page.locator("#notice")).to_contain_text(words)


@pytest.mark.slow
@browsing
class TestErrors:
    def test_a_server_that_is_gone_is_said_and_tried_again(self, open_page: Open) -> None:
        page = open_page(errors=True)
        text = typed(page, "the ")
        page.route("**/v1/**", lambda route: route.abort())
        page.keyboard.type("sta")
        told(page, "does not answer")
        expect(text).to_have_value("the sta")
        page.unroute("**/v1/**")
        expect(page.locator("#notice")).to_be_empty()
        ghost(page)

    def test_a_busy_server_is_said_and_tried_again(self, open_page: Open) -> None:
        page = open_page(errors=True)
        typed(page, "the ")
        refusal = json.dumps({"error": {"message": "too many", "code": "busy"}})
        busy = {"status": 429, "headers": {"Retry-After": "1"}, "body": refusal}
        page.route("**/edit", lambda route: route.fulfill(**busy), times=1)
        page.keyboard.type("s")
        told(page, "busy; trying again in 1 s")
        expect(page.locator("#notice")).to_be_empty()
        ghost(page)

    def test_a_session_that_has_ended_is_made_again_without_a_word(
        self, open_page: Open, address: str
    ) -> None:
        page = open_page(errors=True)
        typed(page, "the ")
        page.locator("#notice").evaluate(
            "n => new MutationObserver(() => n.dataset.told = 1).observe(n, {childList: true})"
        )
        with page.expect_response("**/edit") as known:
            page.keyboard.type("s")
        end = urllib.request.Request(known.value.url.removesuffix("/edit"), method="DELETE")
        urllib.request.urlopen(end).close()
        with page.expect_response("**/v1/sessions") as made:
            page.keyboard.type("x")
        assert made.value.request.post_data_json["text"] == "the sx"
        page.keyboard.press("Backspace")
        ghost(page)
        assert page.locator("#notice").get_attribute("data-told") is None

    def test_a_token_is_asked_for(self, browser, models: list[Path], tmp_path: Path) -> None:
        with serving(tmp_path, models[0], "--token", "open sesame") as address:
            page = browser.new_page()
            page.goto(address)
            told(page, "asks for its token")
            page.get_by_label("Token").fill("wrong")
            page.keyboard.press("Enter")
            told(page, "asks for its token")
            page.get_by_label("Token").fill("open sesame")
            page.keyboard.press("Enter")
            expect(page.locator("#notice")).to_be_empty()
            typed(page, "the sta")
            ghost(page)
            page.close()

    def test_what_the_server_refuses_is_told_in_its_words(self, open_page: Open) -> None:
        page = open_page(errors=True)
        typed(page, "the ")
        refusal = {"message": "expected less text, got more", "code": "too_large", "hint": "shorten it"}
        page.route("**/edit", lambda route: route.fulfill(status=413, body=json.dumps({"error": refusal})))
        page.keyboard.type("s")
        told(page, "Expected less text, got more. Shorten it.")


@pytest.mark.slow
@browsing
class TestLooks:
    def test_facts_and_curve_are_the_models(self, open_page: Open, model: TrainedModel) -> None:
        page = open_page()
        info = model.info()
        facts = page.locator("#facts")
        expect(facts).to_contain_text(f"{len(model.vocabulary)} characters")
        expect(facts).to_contain_text("text.txt")
        nats = info["facts"]["validation"]["nats_per_symbol"]
        expect(facts).to_contain_text(f"({nats:.3f} nats) per symbol")
        expect(page.locator("#curve svg[role=img]")).to_have_attribute(
            "aria-label", re.compile("training from")
        )
        assert page.locator("#curve .smooth").first.get_attribute("d").count("L") > 5
        expect(page.locator("#model option")).to_have_text(["small", "bytes"])

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [320, 390])
    def test_a_phone_shows_all_of_it(self, open_page: Open, scheme: str, width: int) -> None:
        page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=True)
        typed(page, "the state goes on where the lane ended, and " + "e" * 60)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paper = page.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
        assert paper == {"light": "rgb(252, 252, 250)", "dark": "rgb(22, 23, 26)"}[scheme]

    def test_the_keyboard_alone_reaches_everything_and_is_seen(self, open_page: Open) -> None:
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
        assert {"marks", "go", "temperature"} <= set(reached)
        page.keyboard.press("Space")
        assert page.locator("#editor").evaluate("e => e.classList.contains('plain')")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#go")).to_have_text("Stop")
        page.keyboard.press("Escape")
        expect(page.locator("#go")).to_have_text("Write on")


@pytest.mark.slow
@browsing
@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
def test_symbols_are_found_where_the_vocabulary_has_them(open_page: Open, kind: str) -> None:
    text = "Don't \u00e9t\u00e9_1, \u4e2d\u6587 \U0001f600! " + "x" * 300 + " \u0661\u00bd\u2167"
    spans = open_page().evaluate(
        "([text, kind]) => import('/page/text.js').then(m => m.symbolSpans(text, kind))", [text, kind]
    )
    vocabulary = Vocabulary.of_text(text, kind)
    ids = vocabulary.encode(text)
    assert len(spans) == len(ids)
    if kind != "bytes":
        assert [text[first:last] for first, last in spans] == [vocabulary.decode([i]) for i in ids]
