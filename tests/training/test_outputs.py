from pathlib import Path

import pytest

from onward.training.outputs import checkpoint_path, curves_path, log_path


@pytest.mark.parametrize(("name", "stem"), [("a.onward", "a"), ("a.v2", "a.v2"), ("a", "a")])
def test_files_lie_beside_the_model_under_its_name(name: str, stem: str) -> None:
    output = Path("folder") / name
    assert checkpoint_path(output) == Path("folder") / f"{name}.checkpoint"
    assert log_path(output) == Path("folder") / f"{stem}.log.jsonl"
    assert curves_path(output) == Path("folder") / f"{stem}.curves.png"
