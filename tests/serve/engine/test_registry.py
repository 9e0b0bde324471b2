"""What the server reports of a model."""

import json
import shutil
from pathlib import Path

import pytest

from onward.errors import InputError
from onward.serve.engine.registry import curve, load_models
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics


@pytest.mark.parametrize(("name", "log"), [("m.onward", "m.log.jsonl"), ("m.v2", "m.v2.log.jsonl")])
def test_the_curve_is_read_from_the_training_log(model: Path, name: str, log: str, tmp_path: Path) -> None:
    shutil.copy(model, tmp_path / name)
    models = load_models([tmp_path / name], Limits(), Metrics())
    with pytest.raises(ApiError, match="no training log"):
        curve(models.get(None))
    event = {"event": "stepped", "step": 3, "nats_per_symbol": 1.5}
    (tmp_path / log).write_text(json.dumps(event) + "\n")
    assert curve(models.get(None))["training"] == [{"step": 3, "value": 1.5}]


def test_a_model_is_found_by_name_and_the_first_one_is_the_default(model: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "first.onward", tmp_path / "second.onward"]
    for path in paths:
        shutil.copy(model, path)
    models = load_models(paths, Limits(), Metrics())
    assert [models.get(name).name for name in (None, "first", "second")] == ["first", "first", "second"]
    with pytest.raises(ApiError, match="expected one of the models first, second, got 'third'") as caught:
        models.get("third")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_two_models_with_the_same_name_are_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(model, tmp_path / "other" / model.name)
    with pytest.raises(InputError, match="different names"):
        load_models([model, tmp_path / "other" / model.name], Limits(), Metrics())
