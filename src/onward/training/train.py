"""A training run: from an encoded corpus to an artefact."""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onward.artefact import Artefact, save
from onward.data.encoded import EncodedCorpus
from onward.data.lanes import Lanes
from onward.data.vocabulary import END, UNKNOWN
from onward.errors import Interrupted
from onward.memory.remembered import MOST_REMEMBERED
from onward.model import LanguageModel
from onward.outputs import checkpoint_path, curves_path, log_path
from onward.stored import refusing_damage
from onward.threads import explain_fork_errors
from onward.training.base import Base, BaseChoice
from onward.training.checkpoint import START_AGAIN, Checkpoint, resume_hint, take
from onward.training.curves import draw_curves
from onward.training.events import Event, Finished, Observer, SettingsChosen, Started
from onward.training.follow import lead
from onward.training.group import Group, SingleProcess
from onward.training.held_out import held_out_loss
from onward.training.log import RunLog
from onward.training.loop import TrainingLoop
from onward.training.plan import Budget, Plan
from onward.training.preflight import check_memory, check_vocabulary_size, explain_memory_errors
from onward.training.random_state import forked_random
from onward.training.recipe import Recipe
from onward.training.resume import RunStart, check_model_size, check_same_run
from onward.training.rule import CHOSEN, Text, choose, choose_lanes, most_passes
from onward.training.schedule import Schedule
from onward.training.shards import threads_of_shards
from onward.training.speed import OPTIMISER_COST, Speed, measure_speed
from onward.training.split import LANE_STARTS, CorpusSplit, split_corpus
from onward.training.temperature import calibrate_temperature
from onward.training.trainer import Trainer

Sampler = Callable[[Artefact], str]


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run.

    Attributes:
        artefact: the trained model, in evaluation mode.
        output: the model file, if there is one.
        steps, symbols: steps and symbols of the whole run, including the part before it was resumed.
        seconds: duration of this process's part.
        validation_nats_per_symbol: loss of all held-out pieces; None if nothing was held out.
    """

    artefact: Artefact
    output: Path | None
    steps: int
    symbols: int
    seconds: float
    validation_nats_per_symbol: float | None


@dataclass(frozen=True)
class _Run:
    """The input and the settings of a run.

    `passes` is the number of passes over the text after which a run with a budget in minutes ends; None if
    only the time ends it.
    """

    corpus: EncodedCorpus
    recipe: Recipe
    budget: Budget
    start: RunStart
    device: torch.device
    split: CorpusSplit
    sampler: Sampler | None
    started: float
    base: Base | None
    passes: float | None
    group: Group

    @cached_property
    def lanes(self) -> Lanes:
        """The blocks to train on."""
        return self.split.lanes(self.recipe)

    @property
    def most_steps(self) -> float:
        """The maximum number of steps of a run with a budget in minutes; infinity if `passes` is None."""
        if self.passes is None:
            return math.inf
        return float(max(1, math.ceil(self.passes * self.lanes.blocks_per_epoch)))


def train_model(  # noqa: PLR0913 - keyword arguments, most of which have defaults
    corpus: EncodedCorpus,
    recipe: Recipe,
    budget: Budget,
    start: RunStart | None = None,
    *,
    base: BaseChoice | None = None,
    given: Collection[str] | None = None,
    device: torch.device | None = None,
    observer: Observer | None = None,
    sampler: Sampler | None = None,
    group: Group | None = None,
) -> TrainingResult:
    """Trains a model on a corpus.

    A run with an output writes a checkpoint beside it while it trains, a log (`.log.jsonl`) and a plot of the
    losses (`.curves.png`). The same corpus, recipe, number of steps and number of threads give the same
    artefact, to the byte, however often the run was stopped and resumed. If the recipe's precision is "auto",
    the artefact also depends on the measured precision, which its recipe contains.

    Args:
        corpus: the text as ids.
        recipe: all hyperparameters.
        budget: the length of the run.
        start: the output, and the checkpoint to resume from (see `resume.start_run`); None writes nothing.
        base: the model whose weights the run begins with; it must have the recipe's architecture.
        given: names of the hyperparameters that the user chose; the rule of `rule.py` chooses the others by
            corpus and budget. None: the recipe is used as it is, as in a resumed run.
        device: the device to train on; by default the CPU.
        observer: receives all events.
        sampler: writes a short text with an artefact, for the observer.
        group: the processes that train the model, of which this one leads; None trains alone.

    Raises:
        VocabularyError: the vocabulary is too large for a model file.
        ArtefactError, RecipeError: the checkpoint belongs to another run.
        RecipeError: the run needs more memory than the device has.
        RunError: the process was forked from one that used a GPU.
        LostProcess: another process of the group has ended.
        Interrupted, DivergedError, WriteError: see `TrainingLoop.run`.
    """
    device, start = device or torch.device("cpu"), start or RunStart()
    corpus = base.base.extend(corpus) if base and recipe.min_count == 1 else corpus
    check_memory(recipe, len(corpus.vocabulary), device)
    started = time.monotonic() if budget.started is None else budget.started
    notify = observer or (lambda event: None)
    with (
        forked_random(device),
        threads_of_shards(recipe),
        explain_memory_errors(recipe, len(corpus.vocabulary), device),
        explain_fork_errors(),
    ):
        split, passes = split_corpus(corpus, recipe), _passes(start.checkpoint)
        run = _Run(
            corpus, recipe, budget, start, device, split, sampler, started, base and base.base, passes,
            group or SingleProcess(),
        )  # fmt: skip
        if given is not None:
            run = _with_choices(run, given, base and base.nats_per_symbol)
            notify(SettingsChosen({name: getattr(run.recipe, name) for name in CHOSEN}, run.passes))
        if start.output is None:
            return _finish(run, *_train(run, notify), notify)
        check_vocabulary_size(corpus.vocabulary)
        return _train_into(start.output, run, notify)


def _train_into(output: Path, run: _Run, observer: Observer) -> TrainingResult:
    """Trains a model and writes it, with its log and its curves."""
    path = checkpoint_path(output)
    log = RunLog(log_path(output), resumed=run.start.checkpoint is not None)

    def notify(event: Event) -> None:
        observer(event)
        log(event)

    try:
        trained = _train(run, notify)
        try:
            result = _finish(run, *trained, notify)
        except KeyboardInterrupt as interrupt:
            message = "stopped after the last step, before the model was saved"
            raise Interrupted(message, hint=resume_hint(path)) from interrupt
    finally:
        log.close()
    title = f"{output.name}: {run.recipe.name}, {run.corpus.name}"
    draw_curves(log_path(output), curves_path(output), title=title)
    path.unlink(missing_ok=True)  # last, so that a run that is killed earlier can be resumed
    return result


def _train(run: _Run, notify: Observer) -> tuple[Trainer, int]:
    """Makes all steps.

    Returns:
        The trainer, whose model has the best weights, and the step after which these were copied.
    """
    checkpoint, output = run.start.checkpoint, run.start.output
    path = output and checkpoint_path(output)
    facts = {
        "recipe": run.recipe.to_json(),
        "corpus": run.corpus.digest,
        "budget": run.budget.to_json(),
        "lanes": LANE_STARTS,
        "base": run.base and run.base.digest,
        "passes": run.passes,
    }
    has_begun = False
    try:
        if checkpoint and path:
            check_same_run(path, checkpoint, facts)
            check_model_size(checkpoint, run.recipe.model_config(len(run.corpus.vocabulary)))
        trainer = _make_trainer(run)
        loop = _make_loop(run, trainer, path, facts, notify)
        notify(_describe_start(run, trainer))
        has_begun = True
        loop.run()
    except KeyboardInterrupt as interrupt:
        if path is None:
            raise
        raise _stopped(path, is_saved=path.exists() if has_begun else checkpoint is not None) from interrupt
    best = loop.best
    if not best.weights:  # nothing is held out, so the last weights are kept
        with trainer.evaluated() as model:
            best.keep(trainer.step, model)
    best.restore(trainer.model)
    return trainer, best.step


def _with_choices(run: _Run, given: Collection[str], surprise: float | None) -> _Run:
    """Returns a run with the settings that the rule chooses; if it is timed, by the speed of this machine."""
    recipe, budget = run.recipe, run.budget
    if run.base and surprise is None:
        surprise = run.base.surprise(run.corpus)
    text = Text(len(run.split.training), surprise)
    speed = None
    if budget.minutes is not None or recipe.precision == "auto":
        speed = _measure_speed(run, _new_model(run))  # not the model to train, whose dropout is chosen below
        recipe = replace(recipe, precision=speed.precision)
    lanes = recipe.lanes if "lanes" in given else choose_lanes(recipe, text)
    blocks = run.split.lanes(replace(recipe, lanes=lanes)).blocks_per_epoch
    most = None
    if speed and budget.minutes is not None:
        left = run.started + 60 * budget.minutes - time.monotonic()
        most = most_passes(text)
        pass_share = lanes / run.recipe.lanes / run.group.size  # of the measured pass, in each process
        passes = min(most, left / (speed.seconds * (pass_share + OPTIMISER_COST)) / blocks)
    elif budget.epochs is not None:
        passes = budget.epochs
    else:
        passes = (Schedule.parse(str(budget.steps)).steps or 1) / blocks
    return replace(run, recipe=choose(recipe, given, text, passes=passes), passes=most)


def _measure_speed(run: _Run, model: LanguageModel) -> Speed:
    return measure_speed(model, run.split.lanes(run.recipe).next(), run.recipe.precision)


def _new_model(run: _Run) -> LanguageModel:
    """Returns a model with new weights, in training mode."""
    torch.manual_seed(run.recipe.seed)
    return LanguageModel(run.recipe.model_config(len(run.corpus.vocabulary))).train().to(run.device)


def _make_trainer(run: _Run) -> Trainer:
    """Returns the trainer of a run at its first step. A checkpoint then restores the precision too."""
    model, precision = _new_model(run), run.recipe.precision
    if run.base:
        run.base.copy_weights(model, run.corpus.vocabulary)
    if precision == "auto":
        precision = "fp32" if run.start.checkpoint else _measure_speed(run, model).precision
    trainer = Trainer(model, run.lanes, run.recipe, precision=precision, group=run.group)
    lead(trainer, run.corpus)
    return trainer


def _make_loop(
    run: _Run, trainer: Trainer, path: Path | None, facts: dict[str, Any], notify: Observer
) -> TrainingLoop:
    """Returns the loop of a run, restored from its checkpoint if it has one.

    Args:
        run: the run.
        trainer: its trainer.
        path: the checkpoint file; None writes none.
        facts: facts about the run to store in the checkpoint.
        notify: receives all events.
    """
    sampler, checkpoint = run.sampler, run.start.checkpoint
    loop = TrainingLoop(
        trainer,
        run.split.held_out,
        Plan(_make_schedule(run), _deadline(run), run.most_steps),
        notify,
        checkpoint=path,
        facts=facts,
        sampler=(lambda: sampler(_make_artefact(run, trainer, trainer.step, {}))) if sampler else None,
    )
    if checkpoint:
        loop.resume(checkpoint)
    return loop


def _make_schedule(run: _Run) -> Schedule:
    """Returns the schedule of a new run; that of a run with a budget in minutes is empty at first."""
    budget = run.budget
    if budget.minutes is not None:
        return Schedule()
    if budget.epochs is not None:
        return Schedule.of(max(1, round(budget.epochs * run.lanes.blocks_per_epoch)))
    return Schedule.parse(str(budget.steps))


def _deadline(run: _Run) -> float:
    """Returns the end of a run with a budget in minutes. A resumed run has the share of time that is left."""
    budget, checkpoint = run.budget, run.start.checkpoint
    if budget.minutes is None:
        return math.inf
    left = 1.0
    if checkpoint:
        facts = take(checkpoint.facts, "run", dict)
        with refusing_damage("the schedule in the checkpoint", START_AGAIN):
            if schedule := take(facts, "schedule", str):
                left = 1 - Schedule.parse(schedule).progress(take(facts, "step", int))
    return run.started + 60 * budget.minutes * left


def _passes(checkpoint: Checkpoint | None) -> float | None:
    """Returns the most passes of a run to resume."""
    if checkpoint is None or checkpoint.facts.get("passes") is None:
        return None
    passes = take(checkpoint.facts, "passes", float)
    with refusing_damage("the number of passes in the checkpoint", START_AGAIN):
        if not 0 < passes < math.inf:
            raise ValueError(f"expected a positive number, got {passes}")
    return passes


def _finish(run: _Run, trainer: Trainer, best_step: int, notify: Observer) -> TrainingResult:
    """Calibrates the model on the held-out pieces, scores them, and saves the model."""
    held_out, output = run.split.held_out, run.start.output
    temperature = calibrate_temperature(trainer.model.eval(), held_out)
    nats = held_out_loss(trainer.model, held_out) if len(held_out) else None
    validation = {
        "symbols": len(held_out),
        "pieces": held_out.pieces,
        "burn_in": held_out.burn_in,
        "nats_per_symbol": nats,
        "temperature": round(temperature, 4),
    }
    artefact = _make_artefact(run, trainer, best_step, validation)
    if run.recipe.remember:
        end = np.asarray(run.split.training[-MOST_REMEMBERED:]).astype(np.int64)
        artefact = replace(artefact, remembered=end)
    if output:
        save(artefact, output)
    seconds = time.monotonic() - run.started
    schedule = str(trainer.schedule)
    notify(Finished(trainer.step, trainer.symbols, seconds, nats, best_step, schedule))
    return TrainingResult(artefact, output, trainer.step, trainer.symbols, seconds, nats)


def _make_artefact(run: _Run, trainer: Trainer, best_step: int, validation: dict[str, Any]) -> Artefact:
    """Returns the trainer's current model, with the facts of the run."""
    corpus = run.corpus
    (newline,) = corpus.vocabulary.encode("\n").tolist()
    facts: dict[str, Any] = {
        "corpus": {
            "name": _without_folders(corpus.name),
            "sha256": corpus.digest,
            "symbols": len(corpus.ids),
            "ends": int(corpus.counts[END]),
            "newlines": int(corpus.counts[newline]) if newline != UNKNOWN else 0,
        },
        "steps": trainer.step,
        "schedule": str(trainer.schedule),
        "symbols": trainer.symbols,
        "epochs": round(trainer.symbols / run.lanes.symbols_per_epoch, 3),
        "best_step": best_step,
        "precision": trainer.precision,
        "threads": torch.get_num_threads(),
        "base": run.base and {"name": _without_folders(run.base.name), "sha256": run.base.digest},
        "validation": validation,
    }
    own = {"precision": trainer.precision, "base": _without_folders(run.recipe.base)}
    recipe = run.recipe.to_json() | own
    return Artefact(trainer.model, corpus.vocabulary, recipe, facts)


def _without_folders(name: str) -> str:
    """Removes folders from the name of a corpus: they are private, and must not change the model's bytes."""
    return ", ".join(Path(part).name or part for part in name.split(", "))


def _describe_start(run: _Run, trainer: Trainer) -> Started:
    vocabulary = run.corpus.vocabulary
    return Started(
        recipe=run.recipe.name,
        parameters=trainer.model.parameter_count(),
        # for bytes, NUL is a symbol of the text, although its id is that of a special symbol
        vocabulary=len(vocabulary.symbols) + (vocabulary.kind == "bytes"),
        training_symbols=len(run.split.training),
        validation_symbols=len(run.split.held_out),
        lanes=run.lanes.lanes,
        precision=trainer.precision,
        step=trainer.step,
        processes=run.group.size,
    )


def _stopped(path: Path, *, is_saved: bool) -> Interrupted:
    """Returns the error for a run that was stopped within a step, or before the first step."""
    if is_saved:
        return Interrupted("stopped; the last checkpoint is kept", hint=resume_hint(path))
    return Interrupted("stopped before the first checkpoint: nothing is saved")
