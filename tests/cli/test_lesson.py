from pathlib import Path

import pytest
from tests.cli.conftest import Command

from onward.lesson.ladder import MODULES


def test_the_list_names_every_rung(onward: Command) -> None:
    ran = onward("lesson")
    assert ran.code == 0
    assert all(name in ran.out for name in MODULES)


def test_the_list_as_json(onward: Command) -> None:
    rungs = onward("lesson", "--json").json["rungs"]
    assert [rung["name"] for rung in rungs] == list(MODULES)


def test_an_unknown_rung_is_refused_with_the_names_of_all_rungs(onward: Command) -> None:
    ran = onward("lesson", "four")
    assert ran.code == 2
    assert "three" in ran.err


@pytest.mark.slow
def test_a_rung_on_another_text_reports_that_the_figures_do_not_apply(
    onward: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("onward.data.named.NAMED", {})
    ran = onward("lesson", "three", "--share", "0.01", "--pictures", tmp_path, "--json")
    assert ran.code == 0
    assert (ran.json["text"], ran.json["reached"]) == ("pydoc", None)
    assert "the lesson's figures do not apply" in ran.err


def test_rungs_without_their_data_fail_and_the_others_run(
    onward: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    monkeypatch.setattr("onward.lesson.runner.MODULES", {"mix": "mix", "graph": "graph"})
    ran = onward("lesson", "all", "--json")
    assert ran.code == 1
    mix, graph = ran.json["rungs"]
    assert (mix["rung"], mix["figure"]) == ("mix", None)
    assert "mnist" in mix["details"]["error"]
    assert graph["figure"] == 0  # it draws only if a folder is given
    assert "error" not in graph["details"]


def test_the_rung_that_only_draws_has_a_default_folder(
    onward: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = onward("lesson", "graph", "--json")
    assert (ran.code, ran.json["figure"]) == (0, 5)
    assert len([*(tmp_path / "lesson-graph").glob("*.png")]) == 5


def test_the_page_of_results_lists_every_rung() -> None:
    page = Path(__file__).parents[2] / "docs" / "lesson" / "RESULTS.md"
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == list(MODULES)
    assert all("✓" in line for line in lines if "graph" not in line)
