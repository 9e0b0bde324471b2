"""The two functions that most programs need: train a model, load a model."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from onward.artefact import Artefact
from onward.data.corpus import find_sources
from onward.data.encoded import encode_corpus
from onward.errors import RecipeError
from onward.inference.trained_model import TrainedModel
from onward.outputs import checkpoint_path, refuse_to_replace
from onward.training.checkpoint import load_facts, take
from onward.training.events import CorpusEncoded, Observer, ReadingCorpus, Replacing
from onward.training.plan import Budget
from onward.training.recipe import Recipe, find_recipe
from onward.training.train import train_model

DEFAULT_MINUTES = 5.0
"""The budget of a run that names none."""

SAMPLE = 200
"""Symbols of a sample that is shown while a model learns."""


def train(  # noqa: PLR0913 - all by name, most left out
    *sources: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    device: str = "auto",
    observer: Observer | None = None,
    started: float | None = None,
    **hyperparameters: Any,
) -> TrainedModel:
    """Trains a model on text.

        model = onward.train("nietzsche.txt", minutes=5, output="nietzsche.onward")

    Args:
        sources: files, folders, patterns, "-" for standard input, or named corpora such as "pydoc".
        output: the model file; a log and a picture of the losses are written beside it. Without it nothing
            is written.
        recipe: "default", "lstm", "gru", "simple" or "tiny"; by default the first.
        minutes, epochs, steps: how long; one of them, or five minutes.
        resume: go on from the checkpoint that an interrupted run left beside the output. Budget, recipe and
            hyperparameters that are not given are those it was begun with; others are refused.
        device: "cpu", "cuda" (a GPU), or "auto": a GPU where PyTorch finds one.
        observer: called with each event of the run (see `onward.training.events`).
        started: when the minutes began, on the clock of `time.monotonic`; by default with this call.
        hyperparameters: of `Recipe`, in place of the recipe's, such as `lower=True` or `dropout=0.2`.

    Raises:
        CorpusError: a source is missing or holds no text. RecipeError: a hyperparameter that does not exist
        or cannot have that value; a device that is not there, or has too little memory. VocabularyError: a
        model file would have no room for it. InputError: the output is a source, or a file
        that is no model; a run to resume that has ended. BusyError: another run is writing to the output.
        ArtefactError: the checkpoint is damaged, or of another run. Interrupted: Ctrl-C; the run
        was saved, if there is an output. DivergedError: no finite loss, whatever the learning rate.
        WriteError: the disk refused.
    """
    started = time.monotonic() if started is None else started
    trained_on = _device(device)
    target = None if output is None else Path(output)
    chosen = find_recipe(recipe or "default", hyperparameters)
    given = {"minutes": minutes, "epochs": epochs, "steps": steps}
    budget = {name: value for name, value in given.items() if value is not None}
    goes_on = resume and target is not None and checkpoint_path(target).exists()
    if target and goes_on:
        begun = load_facts(checkpoint_path(target))
        if recipe in (None, take(begun, "recipe", dict).get("name")):
            chosen = _as_begun(begun["recipe"], hyperparameters)
        budget = budget or take(begun, "budget", dict)
    asked = Budget(**(budget or {"minutes": DEFAULT_MINUTES}), started=started)
    tell = observer or (lambda event: None)
    found = find_sources(sources)
    if target:
        refuse_to_replace(target, found.documents)
        if target.is_file() and (goes_on or not resume):
            tell(Replacing(str(target)))
    corpus = encode_corpus(
        found, chosen.encoding, progress=lambda done, total: tell(ReadingCorpus(done, total))
    )
    tell(CorpusEncoded(len(found.documents), corpus.source_bytes, found.skipped, corpus.replaced))
    result = train_model(
        corpus,
        chosen,
        asked,
        output=target,
        resume=resume,
        device=trained_on,
        observer=observer,
        sampler=_sample if observer else None,
    )
    return TrainedModel(result.artefact, target)


def load(path: str | os.PathLike[str]) -> TrainedModel:
    """The model that a file holds. Loading runs no code of the file.

    Raises:
        ArtefactError: it is missing, damaged, or not a model of ours.
    """
    return TrainedModel.load(path)


def _device(name: str) -> torch.device:
    """The device of that name."""
    found = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda") or (name == "cuda" and not found):
        here = "auto, cpu or cuda" if found else "auto or cpu (PyTorch finds no GPU here)"
        raise RecipeError(f"device must be {here}, got {name!r}")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def _as_begun(recipe: Mapping[str, Any], overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of a checkpoint, under the name it had; a difference is then refused by the run."""
    values = {name: value for name, value in recipe.items() if name != "name"}
    return find_recipe(str(recipe.get("name")), values | dict(overrides))


def _sample(artefact: Artefact) -> str:
    """What the model writes in the midst of training, which is left as it was."""
    training = artefact.model.training
    artefact.model.eval()
    try:
        return TrainedModel(artefact).write(length=SAMPLE)
    finally:
        artefact.model.train(training)
