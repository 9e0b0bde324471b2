"""`onward lesson`: the list, a rung, and the table of all."""

from pathlib import Path

import pytest
from tests.cli.conftest import Command

from onward.cli.table import as_markdown
from onward.lesson.ladder import MODULES


def test_the_list_names_every_rung(onward: Command) -> None:
    ran = onward("lesson")
    assert ran.code == 0
    assert all(name in ran.out for name in MODULES)


def test_the_list_as_json(onward: Command) -> None:
    rungs = onward("lesson", "--json").json["rungs"]
    assert [rung["name"] for rung in rungs] == list(MODULES)


def test_an_unknown_rung_is_refused_and_the_rungs_are_named(onward: Command) -> None:
    ran = onward("lesson", "four")
    assert ran.code == 2
    assert "three" in ran.err


def test_a_rung_on_another_text_says_that_the_figures_do_not_apply(
    onward: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("onward.data.named.NAMED", {})
    ran = onward("lesson", "three", "--share", "0.01", "--pictures", tmp_path, "--json")
    assert ran.code == 0
    assert (ran.json["text"], ran.json["reached"]) == ("pydoc", None)
    assert "the lesson's figures do not apply" in ran.err


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
def test_what_a_rung_found_becomes_a_list_a_table_or_a_text(details: dict, expected: str) -> None:
    assert expected in as_markdown([ROW | {"details": details}])


def test_the_table_says_what_was_reached() -> None:
    page = as_markdown([ROW | {"details": {}}, ROW | {"details": {}, "reached": False}])
    assert "**1.98** ✓" in page
    assert "**1.98** ✗" in page
    assert "3 minutes in all" in page


def test_the_page_of_results_has_every_rung() -> None:
    page = Path(__file__).parents[2] / "docs" / "lesson" / "RESULTS.md"
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == list(MODULES)
    assert not [line for line in lines if "✗" in line]
