"""Rung `mix`: learning from what nobody labelled.

New here: **pseudo-labels, and batches mixed from several sources**. A network trained on 1,000 labelled
digits is asked about 20,000 others, and its answers become their labels, where it gives them a probability
of 0.8 or more. Then it goes on with batches of which two thirds are labelled and one third is
pseudo-labelled, is asked again every so often, and so on. It answers with all of its units and is trained
with half of them dropped, so that digits which look alike come to get the same label: the boundaries move
to where there are no digits.

    batch = (x, y) from the labelled + (x, argmax network(x)) from the others        2/3 + 1/3

Both networks of a seed start from the same weights and see the same number of batches of the same size, at
the same rates; all that differs is what is in the batches. Lee (Pseudo-Label, 2013), whose
idea it is, gives test errors of 6.6 % without and 4.3 % with, for 1,000 labels and a dense network.

Expect about 3.7 % without and 2.4 % with, as means over five seeds, in six minutes.
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
    new="pseudo-labels: batches mixed from labelled images and images that the network labelled itself",
    measure="test error with pseudo-labels, %, mean of 5 seeds",
    lesson="4.3 (without: 6.6)",
    target=3.5,
    minutes=6.0,
    text="",
)
LABELLED, UNLABELLED, SEEDS = 1000, 20_000, 5
SHARE, ROUNDS = 1 / 3, 20
FIRST, EACH = 300, 200
"""Batches before the first round, and in each round."""

BATCH, RATE, DROPOUT, THRESHOLD = 96, 3e-3, 0.5, 0.8
FOLDER = "mnist"


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 28, 28) from 0 to 1, and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def __getitem__(self, rows: Tensor) -> "Digits":
        """Those of the rows."""
        return Digits(self.images[rows], self.labels[rows])


def network(seed: int) -> nn.Module:
    """Two convolutions and two dense layers: logits (B, 10) of images (B, 1, 28, 28)."""
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(32 * 7 * 7, 128), nn.ReLU()),
        *(nn.Dropout(DROPOUT), nn.Linear(128, 10)),
    )


class Training:
    """AdamW for a number of batches in all; the rate falls in the second half of them.

    It can be called again and again, with other sources, and goes on where it stopped.
    """

    def __init__(self, model: nn.Module, total: int, seed: int) -> None:
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        self.total, self.seed, self.done = total, seed, 0

    def fit(
        self, model: nn.Module, sources: Sequence[Dataset[Any]], shares: Sequence[float], batches: int
    ) -> None:
        """So many batches of a mix of these sources."""
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
    """The test errors of one seed, in percent, and what became of the pseudo-labels.

    Attributes:
        without: of the network that saw the labelled alone.
        with_pseudo: of the one that saw the mixture.
        labels_wrong: share of the pseudo-labels that are wrong, in percent, before each round and at the end.
        moved: how many of them ended as another label than they began with.
    """

    without: float
    with_pseudo: float
    labels_wrong: tuple[float, ...]
    moved: int


def read_digits(folder: Path, part: str) -> Digits:
    """`train` (60,000) or `t10k` (10,000), in the format of LeCun's files."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), dtype=np.uint8, offset=16)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), dtype=np.uint8, offset=8)
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.float32) / 255)
    return Digits(images, torch.from_numpy(labels.astype(np.int64)))


def percent_wrong(predicted: Tensor, labels: Tensor) -> float:
    """The share of labels (N,) that differ, in percent."""
    return 100 * float((predicted != labels).float().mean())


def compare(seed: int, folder: Path, share: float) -> Comparison:
    """Both networks of a seed; this is all that a process does."""
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
    Training(alone, total, seed).fit(alone, [known], [1.0], total)
    mixed = network(seed)
    training_of_mixed = Training(mixed, total, seed)

    def train(model: nn.Module, sources: Sequence[Dataset[Any]], shares: Sequence[float]) -> None:
        training_of_mixed.fit(model, sources, shares, each if training_of_mixed.done else first)

    found: PseudoLabels = pseudo_label(
        mixed, known, others.images, SHARE, rounds=ROUNDS, threshold=THRESHOLD, restart=False, train=train
    )
    wrong = tuple(percent_wrong(labels, others.labels) for labels in found.labels)
    return Comparison(error(alone), error(mixed), wrong, len(found.moved))


def draw(comparisons: Sequence[Comparison], folder: Path) -> Path:
    """How the pseudo-labels got better from round to round, and what that did to the test error."""

    def paint_rounds(axes: Any) -> None:
        for comparison in comparisons:
            axes.plot(comparison.labels_wrong, color="#2f6f4f", alpha=0.7)
        axes.set_xlabel("rounds")
        axes.set_ylabel("pseudo-labels that are wrong, %")
        axes.set_ylim(0)

    def paint_errors(axes: Any) -> None:
        for comparison in comparisons:
            axes.plot((0, 1), (comparison.without, comparison.with_pseudo), "o-", color="#2f6f4f", alpha=0.7)
        axes.set_xticks((0, 1), ("1,000 labels", "and pseudo-labels"))
        axes.set_xlim(-0.3, 1.3)
        axes.set_ylabel("test error, %")
        axes.set_ylim(0)

    title = f"{len(comparisons)} seeds, each a line"
    return save_picture(folder / "lesson-mix.png", title, paint_rounds, paint_errors, size=(9.0, 4.2))


def run(settings: LessonSettings) -> Outcome:
    """Five seeds, as many at once as there are cores."""
    seeds = range(settings.seed, settings.seed + SEEDS)
    folder = data_folder(FOLDER, "train-images-idx3-ubyte.gz", "the four files of MNIST")
    work = partial(compare, folder=folder, share=settings.share)
    comparisons = []
    with ProcessPoolExecutor(min(SEEDS, os.cpu_count() or 1), get_context("spawn")) as pool:
        for seed, found in zip(seeds, pool.map(work, seeds), strict=True):
            comparisons.append(found)
            settings.say(f"seed {seed}: {found.without:.2f} % without, {found.with_pseudo:.2f} % with")
    error = mean(found.with_pseudo for found in comparisons)
    details = {
        "without": mean(found.without for found in comparisons),
        "seeds": {
            f"seed {seed}": {
                "without": found.without,
                "with": found.with_pseudo,
                "pseudo-labels wrong at first": found.labels_wrong[0],
                "at the end": found.labels_wrong[-1],
                "labels that moved": found.moved,
            }
            for seed, found in zip(seeds, comparisons, strict=True)
        },
    }
    return Outcome(
        figure=error,
        holds=details["without"] - error >= 1.0,
        held_out=error,
        details=details,
        pictures=(draw(comparisons, settings.pictures),) if settings.pictures else (),
    )
