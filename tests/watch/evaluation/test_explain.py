"""A sequence with what was expected, on the terminal and as a page."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from onward.errors import InputError
from onward.html import SURPRISE_LEVELS
from onward.watch.datasets import Dataset
from onward.watch.detector import Detector
from onward.watch.evaluation.explain import Explanation, as_text, explained, reason_of, write_page
from onward.watch.input.records import KeyedSequence, UnreadableLines
from onward.watch.scoring.features import FEATURES, Feature

EVENTS = ["start", "read", "<b>bad & \x1b[31m\u202e", "read", "sync", "stop"]
VOID = {"meta"}
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    sequences = [
        KeyedSequence("a", ["start"], [1]),
        KeyedSequence("b", ["start", "read", "read", "sync", "stop"], [2, 3, 4, 5, 6]),
        KeyedSequence("a", EVENTS, [10, 12, 13, 14, 15, 2000]),
    ]
    return Dataset(sequences, {}, UnreadableLines())


@pytest.fixture(scope="module")
def found(detector: Detector, loaded: Dataset) -> Explanation:
    return explained(detector, loaded, "a")


class Page(HTMLParser):
    """The rows of a page's table, with its tags closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


def test_it_holds_the_last_sequence_of_the_key_event_by_event(found: Explanation, detector: Detector) -> None:
    assert [event.event for event in found.events] == [*EVENTS, "<end>"]
    assert found.lines == (10, 12, 13, 14, 15, 2000)
    assert found.verdict.flagged and found.verdict.key == "a"
    bits = [event.bits for event in found.events]
    assert found.verdict.features["largest"] == pytest.approx(max(bits), abs=1e-4)
    assert found.verdict.features["mean"] == pytest.approx(sum(bits) / len(bits), abs=1e-4)
    assert [event.new for event in found.events] == [False, False, True, True, False, False, False]
    assert found.bits_per_event == detector.calibration.bits_per_event


def test_a_normal_one_is_told_as_such(detector: Detector, loaded: Dataset) -> None:
    calm = explained(detector, loaded, "b")
    assert calm.told.startswith("not flagged: p-value ") and "false alarms 0.03" in calm.told


def test_by_the_rule_of_ranks_the_rank_is_told_that_decided(detector: Detector, loaded: Dataset) -> None:
    strict, lax = (explained(detector.with_rate(top_k=k), loaded, "a") for k in (2, 50))
    worst = max(strict.events, key=lambda event: event.rank)
    for found, said, among in ((strict, "flagged", 2), (lax, "not flagged", 50)):
        assert found.told.startswith(f"{said}: {worst.rank} events were likelier than <b>bad")
        assert found.told.endswith(f", and an event is to be among the {among} likeliest")
    assert strict.to_json()["top_k"] == 2 and "p-value" not in as_text(strict)


def test_a_key_that_is_not_there(detector: Detector, loaded: Dataset) -> None:
    with pytest.raises(InputError, match="no sequence 'c'") as caught:
        explained(detector, loaded, "c")
    assert caught.value.hint == "keys are such as a, b"


def test_the_terminal_has_a_line_for_each_event(found: Explanation) -> None:
    text = as_text(found)
    head, empty, titles, *rows, blank, legend = text.splitlines()
    assert not blank and "bits" in legend and "rank" in legend and "new here" in legend
    assert head == f"sequence a, {found.told}" and not empty
    assert titles.split() == ["line", "bits", "rank", "event;", "expected"]
    assert len(rows) == len(found.events)
    for row, event, line in zip(rows, found.events, [*found.lines, None], strict=True):
        cells = row.split()
        assert (cells[0] == str(line)) == (line is not None)
        assert f"{event.bits:.2f}" in cells
        assert row.count("#") == min(12, round(event.bits))
        assert ("(new here)" in row) == event.new
        assert (event.expected[0].event in row.partition(";")[2]) == (event.rank > 0)
    assert "\x1b" not in text and "\u202e" not in text and "\\x1b[31m\\u202e" in text


def test_a_long_name_is_cut_on_the_terminal(found: Explanation) -> None:
    long = replace(found, events=(replace(found.events[0], event="x" * 500),), lines=())
    assert max(map(len, as_text(long).splitlines()[1:])) < 200


def test_the_page_has_a_row_for_each_event_and_nothing_from_outside(
    found: Explanation, tmp_path: Path
) -> None:
    write_page(found, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    head, *rows = page.rows
    assert head == ["line", "bits", "rank", "event", "expected"]
    assert [row[3].removesuffix(" new here") for row in rows] == [*EVENTS, "<end>"]
    assert [row[3].endswith(" new here") for row in rows] == [event.new for event in found.events]
    assert [row[0] for row in rows][-2:] == ["2,000", ""]
    for row, event in zip(rows, found.events, strict=True):
        assert row[1:3] == [f"{event.bits:.2f}", str(event.rank)]
        assert [row[4].count(other.event) > 0 for other in event.expected] == [True] * 3
    assert text.count("never seen, or never behind the event before it") == 1
    assert "script" not in page.tags and not re.search(r"https?:|url\(|@import", text)
    assert "&lt;b&gt;bad &amp;" in text
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    assert set(re.findall(r"var\((--\w+)\)", style[1])) <= set(re.findall(r"(--\w+):", style[1]))
    assert {f".s{step}" for step in range(1, SURPRISE_LEVELS)} <= set(re.findall(r"\.s\d", style[1]))
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text


@pytest.mark.parametrize("speaks", FEATURES)
def test_every_reason_is_a_sentence_with_its_figure(speaks: Feature, found: Explanation) -> None:
    features = dict.fromkeys(found.verdict.features, 0.0) | {speaks: 7.0}
    verdict = replace(found.verdict, speaks=speaks, features=features, counts=(("read", 9, 2),))
    told = reason_of(verdict)
    assert {"counts": "9 x read, normally 2", "total": "more bits in all"}.get(speaks, "7") in told


def test_every_feature_has_a_sentence_of_its_own_wherever_it_is_told(found: Explanation) -> None:
    verdicts = [replace(found.verdict, speaks=name, counts=()) for name in FEATURES]
    assert len({re.sub(r"[\d.]+", "", reason_of(verdict)) for verdict in verdicts}) == len(FEATURES)
    script = files("onward.serve").joinpath("static/watch/alarm.js").read_text("utf-8")
    table = re.search(r"const FEATURES = \{(.*?)\n\};", script, re.DOTALL)
    reference = (ROOT / "docs/reference/watch-http.md").read_text("utf-8")
    told = re.search(r"`speaks` is the feature that says most: (.*?)\n\n", reference, re.DOTALL)
    assert table and told
    sentences = dict(re.findall(r'^  (\w+): "(.+)",$', table[1], re.MULTILINE))
    assert set(sentences) == {*FEATURES, "rank"}  # a detector with --top-k says "rank"
    assert len(set(sentences.values())) == len(sentences)
    assert {*FEATURES, "rank"} <= set(re.findall(r"`(\w+)`", told[1]))
