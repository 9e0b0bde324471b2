"""Compares the network by hand, in PyTensor and in PyTorch: values and gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch

from onward.lesson import scan
from onward.lesson.by_hand import backward, first_weights, forward, learn
from onward.lesson.rung import LessonSettings
from onward.lesson.text import read_text

Example = tuple[np.ndarray, np.ndarray]

SYMBOLS, HIDDEN = 7, 5
TOLERANCE = 1e-9


@pytest.fixture(params=[scan.InTorch, pytest.param(scan.InTheano, marks=pytest.mark.slow)])  # it compiles C
def form(request: pytest.FixtureRequest) -> type[scan.ScanNetwork]:
    return request.param


@pytest.fixture
def sequence() -> tuple[np.ndarray, np.ndarray]:
    one_hot = np.eye(SYMBOLS)
    return one_hot[[0, 1, 5, 3, 2, 2, 6, 1]], one_hot[[1, 5, 3, 2, 2, 6, 1, 4]]


def test_the_first_gradients_equal_those_by_hand(form: type[scan.ScanNetwork], sequence: Example) -> None:
    x, y = sequence
    weights = first_weights(SYMBOLS, hidden=HIDDEN, dtype=np.float64)
    by_hand = backward(weights, x, y, *forward(weights, x))
    for one, other in zip(form(weights).gradients(x, y), by_hand, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE, rtol=0)


def test_ten_updates_equal_those_by_hand(form: type[scan.ScanNetwork], sequence: Example) -> None:
    x, y = sequence
    weights = first_weights(SYMBOLS, hidden=HIDDEN, dtype=np.float64)
    network = form(weights, 0.05)  # with a copy of the weights, which the updates below do not change
    for _ in range(10):
        assert float(network.learn(x, y)) == pytest.approx(learn(weights, x, y, 0.05), abs=TOLERANCE)
    np.testing.assert_allclose(network.predict(x), forward(weights, x)[1], atol=TOLERANCE)


def test_gradients_of_the_full_network_in_torch() -> None:
    assert scan.differences(scan.InTorch, read_text("pydoc"), 0) < TOLERANCE


def test_scan_is_a_loop() -> None:
    def step(x: torch.Tensor, h: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return h + x * times, h

    last, outputs = scan.scan(step, torch.arange(1.0, 5.0), torch.tensor(0.0), torch.tensor(10.0))
    assert last == 100
    assert outputs.tolist() == [0, 10, 30, 60]


@pytest.mark.slow
def test_without_pytensor_the_rung_runs_only_pytorch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scan, "find_spec", lambda name: None)
    lines: list[str] = []
    outcome = scan.run(LessonSettings(share=1 / 75, pictures=tmp_path, report=lines.append))
    assert "PyTensor is not installed" in lines[0]
    assert outcome.details["gradients_differ_by"].keys() == {"InTorch"}
    assert outcome.figure < 30
    assert outcome.pictures[0].stat().st_size > 10_000


@pytest.mark.slow
def test_a_short_run_learns_the_same_in_both(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(shared_data))
    outcome = scan.run(LessonSettings(share=0.04, report=lambda _: None))
    assert outcome.figure < 21.5
    assert outcome.details["means_of_a_thousand_differ_by"] < 1e-3
    assert max(outcome.details["gradients_differ_by"].values()) < TOLERANCE
