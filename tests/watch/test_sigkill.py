"""A watch that is killed at random moments raises the same alarms (the benchmark, with fewer kills)."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_a_watch_that_is_killed_raises_the_same_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("watch_faults", BENCHMARKS / "watch_faults.py")
    assert spec and spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    found = benchmark.compare(tmp_path, kills=4, sessions=900, seed=1)
    assert found["equal"], found
    assert found["rotations"] >= 2
    assert found["alarms"] > 20
    assert not found["lines_reported_lost"]
