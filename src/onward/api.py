"""The two functions that most programs need: train a model, load a model."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from onward.artefact import Artefact
from onward.data.corpus import Corpus, find_sources
from onward.data.encoded import EncodedCorpus, Encoding, encode_corpus
from onward.errors import InputError, LostProcess, RecipeError
from onward.inference.trained_model import TrainedModel
from onward.outputs import checkpoint_path, refuse_to_replace
from onward.scale.torchrun import default_shards, local_rank, process_group, restarts
from onward.training.base import Base, BaseChoice, choose_base
from onward.training.checkpoint import resume_hint
from onward.training.events import BaseChosen, CorpusEncoded, CorpusRead, Observer
from onward.training.follow import follow, receive_setup
from onward.training.group import Ended, Group, leading
from onward.training.plan import Budget
from onward.training.recipe import Recipe, find_recipe
from onward.training.resume import RunStart, resumed_budget, resumed_recipe, start_run
from onward.training.train import train_model

DEFAULT_MINUTES = 5.0

SAMPLE_LENGTH = 200
"""Length in symbols of the samples that are shown during training."""


def train(  # noqa: PLR0913 - keyword arguments, most of which have defaults
    *sources: str | os.PathLike[str] | Corpus,
    output: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | str | None = None,
    resume: bool = False,
    base: str | os.PathLike[str] = "auto",
    device: str = "auto",
    observer: Observer | None = None,
    started: float | None = None,
    **hyperparameters: Any,
) -> TrainedModel:
    """Trains a model on text.

        model = onward.train("nietzsche.txt", minutes=5, output="nietzsche.onward")

    If a launcher of PyTorch, such as torchrun, has started several processes, all of them call this function
    with the same arguments. They train one model, which each of them returns. Process 0 writes the files and
    calls the observer.

    Args:
        sources: files, folders, patterns, "-" for standard input, or named corpora such as "pydoc"; or one
            `Corpus` that `find_sources` found.
        output: the model file; a log and a plot of the losses are written beside it. Without it nothing is
            written.
        recipe: "default", "lstm", "gru", "simple" or "tiny".
        minutes, epochs, steps: how long to train; give at most one. The default is five minutes. `steps` may
            also be the schedule of a timed run, as text, which repeats that run.
        resume: resume from the checkpoint that a stopped run left beside the output. Budget, recipe and
            hyperparameters come from the checkpoint; other values are refused.
        base: the model whose weights the run begins with: the name of a base model such as "english", a model
            file, or "none" for new weights. "auto" chooses a base model if the recipe is the default and the
            text is similar to the texts of the base.
        device: "cpu", "cuda" (a GPU), or "auto": a GPU if PyTorch finds one.
        observer: called with each event of the run (see `onward.training.events`).
        started: when the minutes start, by `time.monotonic`; the default is the time of this call.
        hyperparameters: values that replace the recipe's, such as `lower=True` or `dropout=0.2` (see
            `Recipe`). With the default recipe, the run chooses lanes, dropout and noise, unless they are
            given; if it begins with a base, also the learning rates.

    Raises:
        CorpusError: a source is missing or has no text.
        RecipeError: a hyperparameter does not exist or has a wrong value; the device does not exist or has
            too little memory.
        VocabularyError: the vocabulary is too large for a model file.
        InputError: the output is a source, or a file that is not a model; or the run to resume has finished.
        BusyError: another run is writing to the output.
        ArtefactError: the checkpoint is damaged, or belongs to another run; or the base cannot be read.
        Interrupted: the user pressed Ctrl-C; the run was saved if it has an output.
        DivergedError: the loss was not finite at any learning rate.
        WriteError: a file could not be written.
        RunError: the process was forked from one that used a GPU; another process of the run has ended; or
            process 0 has stopped the run.
    """
    started = time.monotonic() if started is None else started
    target = None if output is None else Path(output)
    with _joint_run(target) as group:
        if group.rank:
            return TrainedModel(_follow(group, sources, device), target)
        trained_on = _find_device(device)
        chosen = find_recipe(recipe or "default", hyperparameters)
        budget = _budget(minutes, epochs, steps, started)
        notify = observer or (lambda event: None)
        corpus = _find_corpus(sources)
        if corpus.digests and group.size > 1:
            raise InputError(
                f"expected files for a run of {group.size} processes, got standard input or a pipe",
                hint="write the text to a file first",
            )
        if target:
            refuse_to_replace(target, corpus.documents)
            resume = resume or (restarts() > 0 and checkpoint_path(target).exists())
        with start_run(target, resume=resume) as start:
            if start.checkpoint:
                chosen = resumed_recipe(start.checkpoint, recipe, hyperparameters)
                budget = budget or resumed_budget(start.checkpoint, started)
            elif "shards" not in hyperparameters:
                chosen = replace(chosen, shards=default_shards(group))
            if target and group.has_launcher and not start.checkpoint:
                # a restart would resume this checkpoint of another run
                checkpoint_path(target).unlink(missing_ok=True)
            for notice in start.notices:
                notify(notice)
            chosen, encoded, begins_with = _begin(corpus, chosen, hyperparameters, str(base), start, notify)
            result = train_model(
                encoded,
                chosen,
                budget or Budget(minutes=DEFAULT_MINUTES, started=started),
                start,
                base=begins_with,
                given=hyperparameters if chosen.name == "default" and not start.checkpoint else None,
                device=trained_on,
                observer=observer,
                sampler=_sample if observer else None,
                group=group,
            )
        with suppress(LostProcess):  # the model is complete
            group.broadcast(Ended(result.artefact))
    return TrainedModel(result.artefact, target)


def load(path: str | os.PathLike[str]) -> TrainedModel:
    """Loads a model file, or a base model by its name, such as "english". No code in the file is executed.

    Raises:
        ArtefactError: the file is missing, damaged, or not an onward model.
    """
    return TrainedModel.load(path)


def _find_device(name: str) -> torch.device:
    found = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda") or (name == "cuda" and not found):
        expected = "auto, cpu or cuda" if found else "auto or cpu (PyTorch finds no GPU here)"
        raise RecipeError(f"device must be {expected}, got {name!r}")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


@contextmanager
def _joint_run(output: Path | None) -> Iterator[Group]:
    """Yields the processes of this run. An exception in process 0 ends the run for all.

    Raises:
        LostProcess: another process has ended; the hint says how to resume.
    """
    try:
        with process_group() as group, leading(group):
            yield group
    except LostProcess as lost:
        path = output and checkpoint_path(output)
        lost.hint = resume_hint(path) if path and path.exists() else "start again: there is no checkpoint"
        raise


def _follow(group: Group, sources: tuple[str | os.PathLike[str] | Corpus, ...], device: str) -> Artefact:
    """Trains as a process that process 0 leads, and returns the model that process 0 wrote."""

    def encode(encoding: Encoding) -> EncodedCorpus:
        return encode_corpus(_find_corpus(sources), encoding)

    setup = receive_setup(group)  # first, because process 0 reports wrong arguments
    return follow(group, setup, encode, device=_find_device(device), is_first_here=local_rank() == 0)


def _budget(
    minutes: float | None, epochs: float | None, steps: int | str | None, started: float
) -> Budget | None:
    """Returns the budget that the caller gave, if any."""
    if minutes is epochs is steps is None:
        return None
    return Budget(minutes, epochs, steps, started)


def _find_corpus(sources: tuple[str | os.PathLike[str] | Corpus, ...]) -> Corpus:
    match sources:
        case (Corpus() as corpus,):
            return corpus
        case _:
            return find_sources([source for source in sources if not isinstance(source, Corpus)])


def _encode(corpus: Corpus, recipe: Recipe, notify: Observer) -> EncodedCorpus:
    encoded = encode_corpus(
        corpus, recipe.encoding, progress=lambda done, total: notify(CorpusRead(done, total))
    )
    notify(CorpusEncoded(len(corpus.documents), encoded.source_bytes, corpus.skipped, encoded.replaced))
    return encoded


def _begin(
    corpus: Corpus,
    recipe: Recipe,
    given: dict[str, Any],
    asked: str,
    start: RunStart,
    notify: Observer,
) -> tuple[Recipe, EncodedCorpus, BaseChoice | None]:
    """Returns the recipe with the architecture of the base, the corpus, and the base."""
    if start.checkpoint and asked == "auto":
        asked = recipe.base
    if asked == "auto":
        encoded = _encode(corpus, recipe, notify)
        choice = choose_base(encoded, recipe, given)
        if choice:
            notify(BaseChosen(choice.base.name, choice.nats_per_symbol))
    elif asked == "none":
        encoded, choice = _encode(corpus, recipe, notify), None
    else:
        choice = BaseChoice(Base.load(asked))
        recipe = choice.base.recipe(recipe, given)
        encoded = _encode(corpus, recipe, notify)
        if not start.checkpoint:
            notify(BaseChosen(asked))
    return replace(recipe, base=choice.base.name if choice else "none"), encoded, choice


def _sample(artefact: Artefact) -> str:
    """Returns a text that the model wrote, and restores the mode of the model."""
    training = artefact.model.training
    artefact.model.eval()
    try:
        return TrainedModel(artefact).write(length=SAMPLE_LENGTH)
    finally:
        artefact.model.train(training)
