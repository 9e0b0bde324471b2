"""A short run of benchmarks/hostile_files.py: changed models and detectors are refused, or work."""

import importlib
import sys
from pathlib import Path

import pytest
from tests.documentation import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
@pytest.mark.slow
@pytest.mark.parametrize(("count", "seed"), [(300, 0), (4000, 1)])
def test_a_changed_file_causes_nothing_but_an_error_of_onward(
    count: int, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    hostile_files = importlib.import_module("hostile_files")
    figures, problems = hostile_files.check(tmp_path, count, seed)
    assert not problems
    assert sum(figures["outcomes"].values()) == count
    assert figures["outcomes"]["loaded"] > count / 20
    assert figures["megabytes_grown"] < 100
