"""Trains a base model on documents, writes it into the package, and scores texts that it has not read."""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

import onward
from onward.artefact import save
from onward.training.events import Event, Started, Validated

ROOT = Path(__file__).parents[1]
BUILD, SHIPPED = ROOT / "build", ROOT / "src" / "onward" / "bases"
LONGEST_SCORED = 100_000
"""Number of characters to score of each text."""

RARE = 100
"""Characters that occur less often are not part of the vocabulary."""


def train_base(
    name: str,
    documents: Iterable[tuple[str, str]],
    unread: Iterable[tuple[str, str]],
    *,
    steps: int | str,
    resume: bool,
) -> None:
    """Trains the base model of a name.

    Args:
        name: name of the model.
        documents: names and texts to train on; training reads them in the order of their names.
        unread: names and texts to score.
        steps: number of steps, or a schedule, of 4,096 symbols each.
        resume: whether to continue a run that was stopped.
    """
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, name)
        folder.mkdir()
        for document, text in documents:
            Path(folder, f"{document}.txt").write_text(text, encoding="utf-8")
        model = onward.train(
            folder,
            output=BUILD / f"{name}.onward",
            base="none",
            steps=steps,
            lanes=64,
            dropout=0.0,
            noise=0.0,
            min_count=RARE,
            precision="bf16",
            resume=resume,
            observer=report,
        )
    shipped = SHIPPED / f"{name}.onward"
    save(model.artefact, shipped, dtype=torch.bfloat16)
    base = onward.load(shipped)
    for title, text in unread:
        nats = base.score(text[:LONGEST_SCORED]).nats_per_symbol
        print(f"{title}: {nats:.3f} nats per character")


def report(event: Event) -> None:
    """Prints the start and the checks of the run."""
    if isinstance(event, Started | Validated):
        print(event, flush=True)


def wants_resume(description: str | None) -> bool:
    """Reads the command line, whose only option is `--resume`."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--resume", action="store_true", help="continue a run that was stopped")
    return parser.parse_args().resume
