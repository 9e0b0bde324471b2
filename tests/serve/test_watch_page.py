"""The page of alarms in a browser, with a server of a detector."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Server
from tests.serve.page.browsing import Open, browsing, expect, pages

from onward.artefact import load, save
from onward.watch.detector import Detector

SHORT = ["start", "read", "stop"]
NORMAL = ["start", "read", "read", "sync", "stop"]


@pytest.fixture(scope="module")
def watch(audit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    own = tmp_path_factory.mktemp("page") / "audit.onward"
    own.write_bytes(audit.read_bytes())
    server = Server(own)
    yield server
    server.end()


@pytest.fixture
def open_page(browser: Any, watch: Server) -> Iterator[Open]:
    """Opens the page of alarms; see `pages`."""
    with pages(browser, watch.url, 1000, 800) as opened:
        yield opened


def bad(key: str) -> list[str]:
    """Returns the events of an alarm that is an incident of its own."""
    return ["start", f"boom-{key}", "read", "sync", "stop"]


def raised(server: Server, *keys: str, events: list[str] | None = None) -> list[dict[str, Any]]:
    """Raises an alarm for each key, and returns the alarms."""
    sequences = [{"key": key, "events": events or bad(key)} for key in keys]
    answer = server.client.post("/v1/watch", json={"sequences": sequences}).json()
    assert [alarm["key"] for alarm in answer["alarms"]] == [*keys]
    return answer["alarms"]


def row_of(page: Any, name: str) -> Any:
    """The newest row of the alarms of a key; the row that is first on the page may still be another."""
    return page.locator("#alarms li", has=page.locator(".name", has_text=name)).first


def live(page: Any) -> Any:
    """Waits until the page is connected, and returns it."""
    expect(page.locator("#state")).to_have_text("live")
    return page


@pytest.mark.slow
@browsing
class TestAlarms:
    def test_alarms_appear_at_once_and_the_newest_is_first(
        self, open_page: Open, watch: Server, audit: Path
    ) -> None:
        raised(watch, "before")
        page = live(open_page())
        assert page.url.endswith("/watch")
        expect(page.locator("#alarms .name").first).to_have_text("before")
        raised(watch, "one", "two")
        names = page.locator("#alarms .name")
        expect(names.first).to_have_text("two")
        expect(names.nth(1)).to_have_text("one")
        expect(page.locator("#spoken")).to_have_text("Alarm: two")
        row = page.locator("#alarms li").first
        expect(row.locator(".why")).to_have_text("first seen: boom-two")
        (verdict,) = Detector.load(audit).judge([bad("two")])
        expect(row.locator(".chance")).to_have_text(f"p ≤ {verdict.p_value:.2g}")

    def test_alarms_of_one_cause_are_one_row(self, open_page: Open, watch: Server) -> None:
        raised(watch, "opened")
        page = live(open_page())
        row = row_of(page, "opened")
        expect(row.locator(".size")).to_be_empty()
        count = page.locator("#alarms li").count()
        raised(watch, "joined-1", "joined-2", "joined-2", events=bad("opened"))
        for shown in (page, live(open_page())):
            expect(row_of(shown, "opened").locator(".size")).to_have_text("4 alarms, 3 keys")
            expect(shown.locator("#alarms li")).to_have_count(count)

    def test_an_alarm_is_explained_with_its_sequence(
        self, open_page: Open, watch: Server, audit: Path
    ) -> None:
        raised(watch, "explained")
        page = live(open_page())
        row = row_of(page, "explained")
        row.locator("summary").click()
        marks = row.locator(".text i")
        expect(marks).to_have_text([*bad("explained"), "<end>"])
        scores = Detector.load(audit).score_events(bad("explained"))
        for i, score in enumerate(scores):
            expect(marks.nth(i)).to_have_class(re.compile(rf"\bs{max(0, min(int(score.bits), 9))}\b"))
        explanation = row.locator(".explanation")
        expect(explanation).to_contain_text("Expected: ")
        shown = re.findall(r"(\w+) ([\d.]+) %", explanation.inner_text().partition("Expected: ")[2])
        assert [name for name, _ in shown] == [e.event for e in scores[1].expected]
        shares = [100 * e.probability for e in scores[1].expected]
        assert [float(share) for _, share in shown] == pytest.approx(shares, rel=0.05)  # two digits
        marks.nth(3).hover()
        detail = page.locator("#detail")
        expect(detail).to_contain_text(f"{scores[3].bits:.2f} bits")
        expect(detail.locator("td:first-child")).to_have_text([e.event for e in scores[3].expected])

    def test_a_row_shows_the_line_unchanged(self, open_page: Open, watch: Server) -> None:
        page = live(open_page())
        lines = ["key,event,time", "as-it-came,start,1", "as-it-came,boom,2", "as-it-came,boom,3"]
        watch.client.post("/v1/watch", json={"lines": lines, "end": True})
        row = row_of(page, "as-it-came")
        expect(row.locator(".line")).to_have_text(re.compile(r"^as-it-came,boom,\d$"))
        row.locator("summary").click()
        expect(row.locator(".source")).to_have_text(re.compile(r"^as-it-came,boom,\d$"))
        expect(row.locator(".line")).to_be_hidden()

    def test_statistics_are_those_of_the_report(self, open_page: Open, watch: Server) -> None:
        page = live(open_page())
        figures = page.locator("#figures")
        expect(figures).to_contain_text("False-alarm rate3 %")
        raised(watch, "counted")
        watch.client.post("/v1/watch", json={"records": [{}]})
        (report,) = watch.client.get("/v1/watch").json()["data"]
        expect(figures).to_contain_text(f"{report['records']} and {report['unparsable']} unreadable lines")
        expect(figures).to_contain_text(f"of {report['sequences']} sequences")
        expect(page.locator("#drift")).to_be_hidden()

    def test_suppressed_sequences_are_counted(self, browser: Any, audit: Path) -> None:
        server = Server(audit, "--alarms", "1/week")
        try:
            records = [
                {"key": f"s{i}", "event": event, "time": 60 * i + place, "last": place == 4}
                for i in range(100)
                for place, event in enumerate(bad(f"s{i}"))
            ]
            server.client.post("/v1/watch", json={"records": records})
            (report,) = server.client.get("/v1/watch").json()["data"]
            assert report["suppressed"]
            with pages(browser, server.url, 1000, 800) as opened:
                reason = "flagged, but not reported, to keep the budget of 1/week"
                figures = live(opened()).locator("#figures")
                expect(figures).to_contain_text(f"Suppressed{report['suppressed']} {reason}")
        finally:
            server.end()

    def test_the_timeline_and_the_events_follow_what_is_read(self, open_page: Open, watch: Server) -> None:
        page = live(open_page())
        raised(watch, "drawn", events=["start", "boom-drawn", "boom-drawn", "stop"])
        row = page.locator("#events tr", has_text="boom-drawn")
        expect(row.locator("td").nth(0)).to_have_text("boom-drawn first seen")
        expect(row.locator("td").nth(1)).to_have_text("2")
        expect(page.locator("#events tr", has_text="start").locator(".tag")).to_have_count(0)
        expect(page.locator("#timeline .column").first).to_be_visible()
        alarms = watch.client.get("/v1/watch").json()["data"][0]["last_alarm"]
        description = re.compile(rf"at most \d+\.\d bits per event, {alarms} alarms$")
        expect(page.locator("#timeline svg")).to_have_attribute("aria-label", description)

    def test_alarms_during_a_pause_are_counted_and_shown_afterwards(
        self, open_page: Open, watch: Server
    ) -> None:
        page = live(open_page())
        page.locator("#pause").click()
        raised(watch, "late", "later")
        expect(page.locator("#state")).to_have_text("paused, 2 new")
        expect(page.locator("#alarms .name", has_text="late")).to_have_count(0)
        page.locator("#pause").click()
        expect(page.locator("#alarms .name").first).to_have_text("later")
        expect(page.locator("#state")).to_have_text("live")

    def test_names_of_events_are_never_markup(self, open_page: Open, watch: Server) -> None:
        page = live(open_page())
        odd = "<img src=x onerror=alert(1)>"
        raised(watch, odd, events=["start", odd, "<b>"])
        row = row_of(page, odd)
        expect(row.locator(".name")).to_have_text(odd)
        row.locator("summary").click()
        expect(row.locator(".text i").nth(1)).to_have_text(odd)
        assert page.locator("main img, main .text b").count() == 0

    def test_marking_an_alarm_as_normal_makes_the_detector_learn(
        self, open_page: Open, watch: Server
    ) -> None:
        page = live(open_page())
        raised(watch, "was-normal", events=SHORT)
        row = row_of(page, "was-normal")
        row.locator("summary").click()
        row.locator("button").click()
        expect(row.locator("[role=status]")).to_have_text(
            re.compile("^Learned: the p-value was 0.0"), timeout=60_000
        )
        expect(row.locator(".name .tag")).to_have_text("marked as normal")
        again = watch.client.post("/v1/watch", json={"sequences": [{"events": SHORT}]}).json()
        assert again["alarms"] == []
        live(open_page())
        other = live(open_page())
        expect(other.locator("#alarms .normal .name").first).to_have_text("was-normal marked as normal")

    def test_a_sequence_that_cannot_be_learned_is_reported(
        self, open_page: Open, own: Path, tmp_path: Path
    ) -> None:
        server = Server(own, "--state", tmp_path / "watch.db")
        page = live(open_page(server.url, errors=True))
        raised(server, "replaced")
        artefact = load(own)
        next(artefact.model.parameters()).data += 1
        save(artefact, own)
        row = row_of(page, "replaced")
        row.locator("summary").click()
        row.locator("button").click()
        expect(row.locator("[role=status]")).to_contain_text(
            f"Not learned. {own.name} was replaced by another detector", ignore_case=True
        )
        expect(page.locator("#notice")).to_be_empty()
        expect(row.locator("button")).to_be_enabled()
        server.end()


@pytest.mark.slow
@browsing
class TestConnection:
    def test_an_offline_server_is_reported_and_no_alarm_is_lost(
        self, open_page: Open, own: Path, tmp_path: Path
    ) -> None:
        first = Server(own, "--state", tmp_path / "watch.db")
        port = first.url.rpartition(":")[2]
        page = live(open_page(first.url, errors=True))
        raised(first, "before")
        expect(page.locator("#alarms .name")).to_have_text(["before"])
        first.end(signal.SIGKILL)
        expect(page.locator("#state")).to_have_text("not connected, trying again")
        expect(page.locator("#notice")).to_contain_text("does not answer")
        second = Server(own, "--state", tmp_path / "watch.db", "--port", port)
        raised(second, "after")
        expect(page.locator("#alarms .name")).to_have_text(["after", "before"])
        expect(page.locator("#notice")).to_be_empty()
        live(page)
        second.end()

    def test_a_server_without_its_state_clears_the_list(self, open_page: Open, audit: Path) -> None:
        first = Server(audit)
        page = live(open_page(first.url, errors=True))
        raised(first, "old-1", "old-2")
        expect(page.locator("#alarms .name")).to_have_count(2)
        first.end(signal.SIGKILL)
        second = Server(audit, "--port", first.url.rpartition(":")[2])
        raised(second, "anew")
        expect(page.locator("#alarms .name")).to_have_text(["anew"])
        second.end()

    def test_the_page_asks_for_the_token(self, open_page: Open, audit: Path) -> None:
        server = Server(audit, "--token", "open sesame")
        page = open_page(server.url, errors=True)
        expect(page.locator("#notice")).to_contain_text("needs a token")
        page.get_by_label("Token").fill("open sesame")
        page.keyboard.press("Enter")
        live(page)
        expect(page.locator("#notice")).to_be_empty()
        server.end()

    def test_alarms_of_open_sequences_are_counted(self, open_page: Open, audit: Path) -> None:
        server = Server(audit, "--false-alarms", "10%")
        page = live(open_page(server.url, errors=True))
        expect(page.locator("#figures")).to_contain_text("Flaggednone no sequence has ended")
        records = [{"key": "on", "event": event} for event in ("boom", "boom", "boom", "boom")]
        server.client.post("/v1/watch", json={"records": records})
        expect(page.locator("#figures")).to_contain_text("Flagged1 open sequences; none has ended")
        server.end()

    def test_a_rate_that_is_too_low_is_reported(self, open_page: Open, audit: Path) -> None:
        server = Server(audit, "--false-alarms", "0.01%")
        page = live(open_page(server.url, errors=True))
        expect(page.locator("#figures")).to_contain_text("too low: nothing can be flagged")
        server.end()

    def test_drift_is_reported(self, open_page: Open, audit: Path) -> None:
        server = Server(audit)
        page = live(open_page(server.url, errors=True))  # the server stops before the page
        body = json.dumps({"sequences": [{"events": SHORT}] * 400})
        server.client.post("/v1/watch", content=body)
        expect(page.locator("#drift")).to_contain_text("normal behaviour has changed")
        expect(page.locator("#figures")).to_contain_text("Driftdetected")
        server.end()


@pytest.mark.slow
@browsing
class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [320, 390])
    def test_the_page_fits_on_a_phone(self, open_page: Open, watch: Server, scheme: str, width: int) -> None:
        raised(watch, "a-key-" + "k" * 200, events=["start", "e" * 300])
        page = live(open_page(viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=True))
        page.locator("#alarms summary").first.click()
        page.locator(".explanation .text").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        paper = page.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
        assert paper == {"light": "rgb(252, 252, 250)", "dark": "rgb(22, 23, 26)"}[scheme]

    def test_the_keyboard_reaches_everything(self, open_page: Open, watch: Server) -> None:
        calm = {"sequences": [{"events": NORMAL}] * 300}  # after earlier incidents, rate control needs it
        watch.client.post("/v1/watch", json=calm).raise_for_status()
        raised(watch, "lower", "upper")
        page = live(open_page())
        page.keyboard.press("Tab")
        expect(page.locator("#pause")).to_be_focused()
        page.keyboard.press("Space")
        expect(page.locator("#state")).to_have_text("paused")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        rows = page.locator("#alarms li")
        expect(rows.nth(0).locator("summary")).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(rows.nth(1).locator("summary")).to_be_focused()
        assert page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") != "none"
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(rows.nth(0).locator(".text")).to_be_visible()
        page.keyboard.press("Tab")
        expect(rows.nth(0).locator(".text")).to_be_focused()
        expect(page.locator("#detail b")).to_have_text("boom-upper")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#detail b")).to_have_text("read")
        page.keyboard.press("Tab")
        expect(rows.nth(0).locator("button")).to_be_focused()
