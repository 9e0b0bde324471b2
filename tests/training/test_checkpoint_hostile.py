"""Damaged and hostile checkpoints: each is refused, or the run ends with a model or an error of onward."""

import importlib
import random
from pathlib import Path
from types import ModuleType

import pytest
from tests.documentation import ROOT
from tests.training.conftest import Small
from tests.training.runs import train, train_until

from onward.artefact import load
from onward.data.encoded import EncodedCorpus
from onward.errors import OnwardError
from onward.outputs import checkpoint_path
from onward.training.plan import Budget
from onward.training.resume import resumed_budget, resumed_recipe, start_run


@pytest.fixture
def mutations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("mutations")


@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_mutated_checkpoints(
    count: int, mutations: ModuleType, corpus: EncodedCorpus, small: Small, tmp_path: Path
) -> None:
    output, recipe = tmp_path / "m.onward", small(width=4, layers=1, lanes=2, block=8)
    train_until(corpus, recipe, Budget(steps=6), output, 3)
    whole = checkpoint_path(output).read_bytes()
    resumed = 0
    for number in range(count):
        _, content = mutations.mutated(whole, "onward-checkpoint", random.Random(number))
        checkpoint_path(output).write_bytes(content)
        try:
            with start_run(output, resume=True) as start:
                assert start.checkpoint
                found = resumed_recipe(start.checkpoint, None, {})
                budget = resumed_budget(start.checkpoint, None)
            train(corpus, found, budget, output, resume=True)
        except OnwardError as error:
            assert str(error).isprintable(), number
            assert len(str(error)) < 2000, number
            assert error.hint, number
        else:
            resumed += 1
            load(output)
            output.unlink()
    assert resumed < count / 2
