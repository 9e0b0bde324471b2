import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "precision"), [("gated", "bf16"), ("gru", "fp32")])
def test_a_run_killed_anywhere_ends_with_the_same_bytes(
    layer: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs the benchmark resume_sigkill.py with fewer kills."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("resume_sigkill", BENCHMARKS / "resume_sigkill.py")
    assert spec and spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    settings = {"steps": 400, "layer": layer, "precision": precision, "dropout": 0.1}
    found = benchmark.compare(tmp_path, settings, kills=4, seed=1)
    assert found["equal"], found
    assert found["left_over"] == []
    assert found["kills"] >= 1
