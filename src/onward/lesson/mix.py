"""Rung `mix`: learning from unlabelled data.

New here: **pseudo-labels, and batches mixed from several sources**. A network is trained on 1,000 labelled
digits. It then predicts the labels of 20,000 other digits. Predictions with a probability of 0.8 or more
become pseudo-labels. Training continues with batches that are two thirds labelled and one third
pseudo-labelled; the pseudo-labels are predicted again after each round. The network predicts with all units,
but trains with half of them dropped. So similar digits get the same label, and the decision boundaries move
to regions without digits.

    batch = (x, y) of labelled digits + (x, argmax network(x)) of other digits      2/3 + 1/3

Two networks are compared for each seed, one with pseudo-labels and one without. They have the same initial
weights, number and size of batches, and learning rates. The idea is from Lee (Pseudo-Label, 2013), who
reports test errors of 6.6 % without pseudo-labels and 4.3 % with them, for 1,000 labels and a dense network.

Expect about 3.7 % without and 2.4 % with pseudo-labels, as means over five seeds, in six minutes.
"""

import gzip
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from onward.classify.mix import MixIterator
from onward.classify.pseudo_label import PseudoLabels, predict, pseudo_label
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import data_folder

RUNG = Rung(
    name="mix",
    new="pseudo-labels: batches mix labelled images with images that the network labelled itself",
    measure="test error with pseudo-labels, %, mean of 5 seeds",
    lesson="4.3 (without: 6.6)",
    target=3.5,
    minutes=6.0,
    text="",
)
LABELLED, UNLABELLED, SEEDS = 1000, 20_000, 5
SHARE, ROUNDS = 1 / 3, 20
FIRST, EACH = 300, 200
"""Number of batches before the first round, and in each round."""

BATCH, RATE, DROPOUT, THRESHOLD = 96, 3e-3, 0.5, 0.8
FOLDER = "mnist"


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 28, 28) from 0 to 1, and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def __getitem__(self, rows: Tensor) -> "Digits":
        return Digits(self.images[rows], self.labels[rows])


def network(seed: int) -> nn.Module:
    """Returns a network of two convolutions and two dense layers: images (B, 1, 28, 28) to logits (B, 10)."""
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(32 * 7 * 7, 128), nn.ReLU()),
        *(nn.Dropout(DROPOUT), nn.Linear(128, 10)),
    )


class ResumableTraining:
    """Trains with AdamW for a total number of batches; the learning rate falls in the second half of them.

    `fit` can be called several times, with different sources. Each call continues the schedule.
    """

    def __init__(self, model: nn.Module, total: int, seed: int) -> None:
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        self.total, self.seed, self.done = total, seed, 0

    def fit(
        self, model: nn.Module, sources: Sequence[Dataset[Any]], shares: Sequence[float], batches: int
    ) -> None:
        """Trains on a number of batches of a mix of sources."""
        mix = MixIterator(sources, BATCH, shares, seed=self.seed + self.done)
        model.train()
        for _ in range(batches):
            x, y = next(mix)
            self.optimiser.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - self.done / self.total))
            self.optimiser.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            self.optimiser.step()
            self.done += 1


@dataclass(frozen=True)
class Comparison:
    """The test errors and pseudo-labels of one seed.

    Attributes:
        without: test error of the network that was trained on labelled digits only, in percent.
        with_pseudo: test error of the network that was trained on the mix, in percent.
        labels_wrong: share of wrong pseudo-labels before each round and at the end, in percent.
        moved: number of digits whose last pseudo-label differs from their first.
    """

    without: float
    with_pseudo: float
    labels_wrong: tuple[float, ...]
    moved: int


def read_digits(folder: Path, part: str) -> Digits:
    """Reads the part `train` (60,000 digits) or `t10k` (10,000 digits) of MNIST."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), dtype=np.uint8, offset=16)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), dtype=np.uint8, offset=8)
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.float32) / 255)
    return Digits(images, torch.from_numpy(labels.astype(np.int64)))


def percent_wrong(predicted: Tensor, labels: Tensor) -> float:
    """Returns the share of predicted labels that are wrong, in percent; both arguments are (N,)."""
    return 100 * float((predicted != labels).float().mean())


def compare(seed: int, folder: Path, share: float) -> Comparison:
    """Trains both networks of a seed. Each seed runs in its own process."""
    torch.set_num_threads(1)
    training, test = read_digits(folder, "train"), read_digits(folder, "t10k")
    order = torch.randperm(len(training.labels), generator=torch.Generator().manual_seed(seed))
    labelled, others = training[order[:LABELLED]], training[order[LABELLED:][:UNLABELLED]]
    first, each = max(50, round(FIRST * share)), max(10, round(EACH * share))
    total = first + ROUNDS * each

    def error(model: nn.Module) -> float:
        return percent_wrong(predict(model, test.images).argmax(1), test.labels)

    alone = network(seed)
    known = TensorDataset(labelled.images, labelled.labels)
    ResumableTraining(alone, total, seed).fit(alone, [known], [1.0], total)
    mixed = network(seed)
    training_of_mixed = ResumableTraining(mixed, total, seed)

    def train(model: nn.Module, sources: Sequence[Dataset[Any]], shares: Sequence[float]) -> None:
        training_of_mixed.fit(model, sources, shares, each if training_of_mixed.done else first)

    found: PseudoLabels = pseudo_label(
        mixed, known, others.images, SHARE, rounds=ROUNDS, threshold=THRESHOLD, restart=False, train=train
    )
    wrong = tuple(percent_wrong(labels, others.labels) for labels in found.labels)
    return Comparison(error(alone), error(mixed), wrong, len(found.moved))


def draw(comparisons: Sequence[Comparison], folder: Path) -> Path:
    """Draws the share of wrong pseudo-labels by round, and the test errors."""

    def paint_rounds(axes: Any) -> None:
        for comparison in comparisons:
            axes.plot(comparison.labels_wrong, color="#2f6f4f", alpha=0.7)
        axes.set_xlabel("rounds")
        axes.set_ylabel("wrong pseudo-labels, %")
        axes.set_ylim(0)

    def paint_errors(axes: Any) -> None:
        for comparison in comparisons:
            axes.plot((0, 1), (comparison.without, comparison.with_pseudo), "o-", color="#2f6f4f", alpha=0.7)
        axes.set_xticks((0, 1), ("1,000 labels", "with pseudo-labels"))
        axes.set_xlim(-0.3, 1.3)
        axes.set_ylabel("test error, %")
        axes.set_ylim(0)

    title = f"{len(comparisons)} seeds, one line each"
    return save_picture(folder / "lesson-mix.png", title, paint_rounds, paint_errors, size=(9.0, 4.2))


def run(settings: LessonSettings) -> Outcome:
    """Runs five seeds, in parallel on all cores."""
    seeds = range(settings.seed, settings.seed + SEEDS)
    folder = data_folder(FOLDER, "train-images-idx3-ubyte.gz", "the four files of MNIST")
    work = partial(compare, folder=folder, share=settings.share)
    comparisons = []
    with ProcessPoolExecutor(min(SEEDS, os.cpu_count() or 1), get_context("spawn")) as pool:
        for seed, found in zip(seeds, pool.map(work, seeds), strict=True):
            comparisons.append(found)
            settings.report(
                f"seed {seed}: test error {found.without:.2f} % without pseudo-labels, "
                f"{found.with_pseudo:.2f} % with them"
            )
    error = mean(found.with_pseudo for found in comparisons)
    error_without = mean(found.without for found in comparisons)
    details = {
        "test error without pseudo-labels, %": error_without,
        "seeds": {
            f"seed {seed}": {
                "test error without pseudo-labels, %": found.without,
                "test error with them, %": found.with_pseudo,
                "wrong pseudo-labels at first, %": found.labels_wrong[0],
                "wrong pseudo-labels at the end, %": found.labels_wrong[-1],
                "changed pseudo-labels": found.moved,
            }
            for seed, found in zip(seeds, comparisons, strict=True)
        },
    }
    return Outcome(
        figure=error,
        holds=error_without - error >= 1.0,
        held_out=error,
        details=details,
        pictures=(draw(comparisons, settings.pictures),) if settings.pictures else (),
    )
