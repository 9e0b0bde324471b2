from typing import Any

import pytest
from tests.documentation import ROOT

from onward.lesson.ladder import rungs
from onward.lesson.table import as_markdown

ROW = {
    "rung": "three", "measure": "nats | a character", "lesson": "about 2.0", "target": 2.0, "figure": 1.98,
    "reached": True, "held_out": 2.05, "text": "nietzsche", "seconds": 83.4, "pictures": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"answer_to": 0.12345}, "- answer to: 0.1235"),
        (
            {"a": {"x": 1, "y": 2}, "b": {"x": 3}},
            "|  | x | y |\n| --- | --- | --- |\n| a | 1 | 2 |\n| b | 3 |  |",
        ),
        ({"of": {"a": {"x": 1.0}, "b": {"x": 2.0}}}, "of:\n\n|  | x |\n| --- | --- |\n| a | 1 |\n| b | 2 |"),
        ({"sample": "one\ntwo"}, "sample:\n\n```\none\ntwo\n```"),
        ({"answers": ["a|b", 0.5]}, "- answers: a\\|b, 0.5"),
    ],
)
def test_details_become_a_list_a_table_or_a_text(details: dict[str, Any], expected: str) -> None:
    assert expected in as_markdown([ROW | {"details": details}])


def test_the_table_shows_reached_targets() -> None:
    page = as_markdown([ROW | {"details": {}}, ROW | {"details": {}, "reached": False}])
    assert "**1.98** ✓" in page
    assert "**1.98** ✗" in page
    assert "3 minutes in total" in page


def test_a_rung_that_failed_is_shown_as_not_run() -> None:
    assert "| not run |" in as_markdown([ROW | {"details": {}, "figure": None, "reached": None}])


def test_the_page_of_results_describes_the_rungs_as_they_are() -> None:
    page = (ROOT / "docs" / "lesson" / "RESULTS.md").read_text(encoding="utf-8")
    published = [line.split(" | ")[:4] for line in page.splitlines() if line.startswith("| `")]
    rows = [
        ROW | {"rung": rung.name, "measure": rung.measure, "lesson": rung.lesson, "target": rung.target}
        for rung in rungs()
    ]
    table = as_markdown([row | {"details": {}} for row in rows])
    assert published == [line.split(" | ")[:4] for line in table.splitlines() if line.startswith("| `")]
