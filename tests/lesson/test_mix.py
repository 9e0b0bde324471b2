"""Rung `mix` on a few digits; `onward lesson mix` measures its figures."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

from onward.errors import CorpusError
from onward.lesson import mix
from onward.lesson.rung import LessonSettings


def test_the_digits_are_read(shared_data: Path) -> None:
    test = mix.read_digits(shared_data / "mnist", "t10k")
    assert test.images.shape == (10_000, 1, 28, 28)
    assert (float(test.images.min()), float(test.images.max())) == (0.0, 1.0)
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_missing_digits_are_an_error_with_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match=r"expected train-images-idx3-ubyte.gz in .*mnist"):
        mix.run(LessonSettings(report=lambda line: None))


def test_training_continues_and_its_rate_ends_near_zero() -> None:
    images, labels = torch.rand(64, 1, 28, 28), torch.randint(10, (64,))
    model = mix.network(seed=1)
    training = mix.ResumableTraining(model, total=8, seed=1)
    rates = []
    for _ in range(4):
        training.fit(model, [TensorDataset(images, labels)], [1.0], 2)
        rates.append(training.optimiser.param_groups[0]["lr"])
    assert training.done == 8
    assert rates == pytest.approx([mix.RATE * share for share in (1.0, 1.0, 0.75, 0.25)])


@pytest.mark.slow
def test_a_short_run_learns_from_labels_and_pseudo_labels(shared_data: Path) -> None:
    found = mix.compare(0, shared_data / "mnist", share=0.1)
    assert found.without < 12
    assert found.with_pseudo < 12
    assert found.labels_wrong[-1] < found.labels_wrong[0]
