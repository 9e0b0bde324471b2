"""What is told of a model that is served."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onward.serve.engine.registry import curve


@pytest.mark.parametrize(("model", "log"), [("m.onward", "m.log.jsonl"), ("m.v2", "m.v2.log.jsonl")])
def test_the_curve_is_read_from_the_log_that_training_left(model: str, log: str, tmp_path: Path) -> None:
    event = {"event": "stepped", "step": 3, "nats_per_symbol": 1.5}
    (tmp_path / log).write_text(json.dumps(event) + "\n")
    served: Any = SimpleNamespace(name="m", trained=SimpleNamespace(path=tmp_path / model))
    assert curve(served)["training"] == [{"step": 3, "value": 1.5}]
