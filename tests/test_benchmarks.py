"""The pages of figures are what was measured."""

import importlib.util
from types import ModuleType

import pytest
from tests.documentation import ROOT


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_results_is_made_of_the_results(report: ModuleType) -> None:
    assert (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8") == report.report()


def test_the_figures_of_the_readme_are_those_of_the_results(report: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == report.with_headlines(readme)
    assert report.headlines() in readme
