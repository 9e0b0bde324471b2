"""The explanation of a verdict, on the terminal and as an HTML page."""

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
from onward.watch.evaluation.explain import (
    Explanation,
    as_lines,
    describe_reason,
    explain_sequence,
    write_page,
)
from onward.watch.input.records import KeyedSequence, UnreadableLines
from onward.watch.scoring.features import FEATURES, CountDifference, Feature

EVENTS = ["start", "read", "<b>bad & \x1b[31m\u202e", "read", "sync", "stop"]
VOID = {"meta"}
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    sequences = [
        KeyedSequence("a", ["start"], [1]),
        KeyedSequence("b", ["start", "read", "read", "sync", "stop"], [2, 3, 4, 5, 6]),
        KeyedSequence("a", EVENTS, [10, 12, 13, 14, 15, 2000]),
    ]
    return Dataset(sequences, {}, UnreadableLines())


@pytest.fixture(scope="module")
def found(detector: Detector, dataset: Dataset) -> Explanation:
    return explain_sequence(detector, dataset, "a")


class Page(HTMLParser):
    """Collects the tags and the table rows of a page, and checks that tags are closed in order."""

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


def test_it_has_the_events_of_the_last_sequence_with_the_key(found: Explanation, detector: Detector) -> None:
    assert [event.event for event in found.events] == [*EVENTS, "<end>"]
    assert found.lines == (10, 12, 13, 14, 15, 2000)
    assert found.verdict.flagged
    assert found.verdict.key == "a"
    bits = [event.bits for event in found.events]
    assert found.verdict.features["top"] == pytest.approx(sum(sorted(bits)[-4:]) / 4, abs=1e-4)
    assert found.verdict.bits_per_event == pytest.approx(sum(bits) / len(bits), abs=1e-4)
    assert [event.new for event in found.events] == [False, False, True, True, False, False, False]
    assert found.bits_per_event == detector.mixture.bits_per_event


def test_the_summary_has_the_p_value_and_the_rate(detector: Detector, dataset: Dataset) -> None:
    summary = explain_sequence(detector, dataset, "b").summary
    assert summary.startswith("not flagged: p-value ")
    assert "false-alarm rate 0.03" in summary


@pytest.mark.parametrize(("top_k", "result"), [(2, "flagged"), (50, "not flagged")])
def test_with_deeplogs_rule_the_summary_has_the_rank(
    top_k: int, result: str, detector: Detector, dataset: Dataset
) -> None:
    found = explain_sequence(detector.with_rate(top_k=top_k), dataset, "a")
    rank = max(event.rank for event in found.events)
    assert found.summary.startswith(f"{result}: {rank} events were more likely than <b>bad")
    assert found.summary.endswith(f"; events must be among the {top_k} most likely")
    assert found.to_json()["top_k"] == top_k
    assert "p-value" not in "\n".join(as_lines(found))


def test_a_missing_key_is_refused(detector: Detector, dataset: Dataset) -> None:
    with pytest.raises(InputError, match="no sequence 'c'") as caught:
        explain_sequence(detector, dataset, "c")
    assert caught.value.hint == "some of the keys are a, b"


def test_the_terminal_shows_a_line_for_each_event_without_control_characters(found: Explanation) -> None:
    text = "\n".join(as_lines(found))
    head, empty, titles, *rows, blank, legend = text.splitlines()
    assert not blank
    assert all(word in legend for word in ("bits", "rank", "new here"))
    assert head == f"sequence a, {found.summary}" and not empty
    assert titles.split() == ["line", "bits", "rank", "event;", "expected"]
    assert len(rows) == len(found.events)
    for row, event, line in zip(rows, found.events, [*found.lines, None], strict=True):
        cells = row.split()
        assert (cells[0] == str(line)) == (line is not None)
        assert f"{event.bits:.2f}" in cells
        assert row.count("#") == min(12, round(event.bits))
        assert ("(new here)" in row) == event.new
        assert (event.expected[0].event in row.partition(";")[2]) == (event.rank > 0)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[31m\\u202e" in text


def test_a_long_name_is_shortened_on_the_terminal(found: Explanation) -> None:
    long = replace(found, events=(replace(found.events[0], event="x" * 500),), lines=())
    assert max(map(len, as_lines(long)[1:])) < 200


def test_the_page_has_a_row_for_each_event_and_no_outside_resource(
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
    assert text.count("never seen, or never directly after the event before it") == 1
    assert "script" not in page.tags and not re.search(r"https?:|url\(|@import", text)
    assert "&lt;b&gt;bad &amp;" in text
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    assert set(re.findall(r"var\((--\w+)\)", style[1])) <= set(re.findall(r"(--\w+):", style[1]))
    assert {f".s{step}" for step in range(1, SURPRISE_LEVELS)} <= set(re.findall(r"\.s\d", style[1]))
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text


@pytest.mark.parametrize("feature", FEATURES)
def test_the_reason_has_the_value_of_the_main_feature(feature: Feature, found: Explanation) -> None:
    features = dict.fromkeys(found.verdict.features, 0.0) | {feature: 7.0}
    counts = (CountDifference("read", 9, 2),)
    verdict = replace(found.verdict, main_feature=feature, features=features, counts=counts)
    expected = {"counts": "9 x read, normally 2", "total": "more bits in total"}.get(feature, "7")
    assert expected in describe_reason(verdict)


def test_each_feature_has_its_own_reason(found: Explanation) -> None:
    verdicts = [replace(found.verdict, main_feature=name, counts=()) for name in FEATURES]
    reasons = {re.sub(r"[\d.]+", "", describe_reason(verdict)) for verdict in verdicts}
    assert len(reasons) == len(FEATURES)


def test_the_alarm_page_describes_each_feature() -> None:
    script = files("onward.serve").joinpath("static/watch/alarm.js").read_text("utf-8")
    table = re.search(r"const FEATURES = \{(.*?)\n\};", script, re.DOTALL)
    assert table
    sentences = dict(re.findall(r'^  (\w+): "(.+)",$', table[1], re.MULTILINE))
    assert set(sentences) == {*FEATURES, "rank"}  # with --top-k, the main feature is "rank"
    assert len(set(sentences.values())) == len(sentences)


def test_the_reference_names_each_feature() -> None:
    reference = (ROOT / "docs/reference/watch-http.md").read_text("utf-8")
    (table,) = re.findall(r"### Features\n\n(.*?)\n\n", reference, re.DOTALL)
    assert {*FEATURES, "rank"} == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
