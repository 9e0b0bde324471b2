"""A training run from an encoded corpus to an artefact."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from onward.artefact import Artefact, save
from onward.data.encoded import EncodedCorpus
from onward.data.lanes import Lanes, unknown_shares
from onward.data.symbols import Symbols
from onward.errors import ArtefactError, RecipeError
from onward.model import LanguageModel
from onward.training.checkpoint import Checkpoint, checkpoint_path, load_checkpoint, output_lock
from onward.training.curves import draw_curves
from onward.training.loop import Loop, Plan
from onward.training.recipe import Recipe
from onward.training.report import Event, Log, Observer, Started
from onward.training.trainer import Trainer
from onward.training.validation import REPORTED, report

LONGEST_TAIL, SHORTEST_TAIL = 1_000_000, 256
"""Symbols that are held out, at most, and at least: of a shorter text nothing is."""

SECONDS_TO_CLOSE = 2.5
"""What saving the model and drawing its curves take, and Python's end."""

SECONDS_A_REPORTED_SYMBOL = 4e-5

Sampler = Callable[[Artefact], str]


@dataclass(frozen=True)
class Budget:
    """How long to train: exactly one of the three.

    Attributes:
        minutes: of the run with all that belongs to it, from `started` on.
        epochs: passes over the training part of the corpus.
        steps: steps.
        started: when the run began, on the clock of `time.monotonic`.
    """

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None
    started: float | None = None

    def __post_init__(self) -> None:
        """Refuses none, several, or nothing to do."""
        given = {name: getattr(self, name) for name in ("minutes", "epochs", "steps")}
        chosen = {name: value for name, value in given.items() if value is not None}
        if len(chosen) != 1 or not all(value > 0 and math.isfinite(value) for value in chosen.values()):
            raise RecipeError(
                f"expected one of minutes, epochs and steps, above zero, got {chosen or 'none'}",
                hint="say for instance minutes=5",
            )


@dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Attributes:
        artefact: the trained model.
        output: where it was saved, if it was.
        steps, symbols: of the whole run, with what came before it was resumed.
        seconds: of this process's part.
        validation_nats_per_symbol: of the held-out tail in one pass, None where nothing was held out.
    """

    artefact: Artefact
    output: Path | None
    steps: int
    symbols: int
    seconds: float
    validation_nats_per_symbol: float | None


def train_model(
    corpus: EncodedCorpus,
    recipe: Recipe,
    budget: Budget,
    *,
    output: Path | None = None,
    resume: bool = False,
    observer: Observer | None = None,
    sampler: Sampler | None = None,
) -> TrainingResult:
    """Trains a model on a corpus.

    Beside the output lie, while it trains, a checkpoint and a lock, and for good a log (`.log.jsonl`) and a
    picture of the losses (`.curves.png`). The artefact is a function of corpus, recipe, steps and number of
    threads, to the byte, however often the run was stopped and resumed.

    Args:
        corpus: the text as ids.
        recipe: every hyperparameter.
        budget: how long.
        output: the model file; without it nothing is written.
        resume: go on from the checkpoint beside the output; without one, begin.
        observer: is told of everything that happens.
        sampler: gives a short text by an artefact, for the observer.

    Raises:
        BusyError: another run writes to the output.
        ArtefactError, RecipeError: the checkpoint is damaged, or of another run.
        Interrupted, DivergedError, WriteError: see `Loop.run`.
    """
    started = time.monotonic() if budget.started is None else budget.started
    run = _Run(corpus, recipe, budget, observer or (lambda event: None), sampler)
    if output is None:
        return run.finish(run.train(None, None, started), None, started)
    with output_lock(output):
        path = checkpoint_path(output)
        checkpoint = load_checkpoint(path) if resume and path.exists() else None
        log = Log(_beside(output, ".log.jsonl"), resumed=checkpoint is not None)
        try:
            run.listen(log)
            result = run.finish(run.train(path, checkpoint, started), output, started)
        finally:
            log.close()
        title = f"{output.name}: {recipe.name}, {corpus.name}"
        draw_curves(_beside(output, ".log.jsonl"), _beside(output, ".curves.png"), title=title)
        path.unlink(missing_ok=True)
        return result


class _Run:
    """The parts of a run, put together."""

    def __init__(
        self,
        corpus: EncodedCorpus,
        recipe: Recipe,
        budget: Budget,
        observer: Observer,
        sampler: Sampler | None,
    ) -> None:
        self._corpus, self._recipe, self._budget, self._sampler = corpus, recipe, budget, sampler
        self._observers = [observer]
        self._training, self._tail = _hold_out(corpus.ids, recipe.validation)
        shares = None if corpus.vocabulary.kind == "bytes" else unknown_shares(corpus.counts)
        self._lanes = Lanes(
            self._training, lanes=recipe.lanes, steps=recipe.block, unknown=shares, seed=recipe.seed
        )

    def listen(self, observer: Observer) -> None:
        """Tells one more."""
        self._observers.append(observer)

    def train(self, path: Path | None, checkpoint: Checkpoint | None, started: float) -> Trainer:
        """All steps; the trainer then has the best weights."""
        recipe = self._recipe
        torch.manual_seed(recipe.seed)
        model = LanguageModel(recipe.model_config(len(self._corpus.vocabulary))).train()
        trainer = Trainer(model, self._lanes, recipe, precision="fp32")
        facts = {"recipe": recipe.to_json(), "corpus": self._corpus.digest}
        sample = self._sampler
        sampler = (lambda: sample(self._artefact(trainer, None))) if sample else None
        plan = self._plan(started)
        loop = Loop(trainer, self._tail, plan, self._tell, checkpoint=path, facts=facts, sampler=sampler)
        if checkpoint:
            _check_same(path, checkpoint, facts, plan)
            loop.resume(checkpoint)
        else:
            trainer.precision = _choose_precision(trainer)
        self._tell(self._begin(trainer))
        loop.run()
        trainer.use_best()
        return trainer

    def finish(self, trainer: Trainer, output: Path | None, started: float) -> TrainingResult:
        """Scores the held-out tail in one pass, and saves the model."""
        nats = report(trainer.model, self._tail) if len(self._tail) else None
        artefact = self._artefact(trainer, nats)
        if output:
            save(artefact, output)
        return TrainingResult(
            artefact=artefact,
            output=output,
            steps=trainer.step,
            symbols=trainer.symbols,
            seconds=time.monotonic() - started,
            validation_nats_per_symbol=nats,
        )

    def _tell(self, event: Event) -> None:
        """Tells all observers."""
        for observer in self._observers:
            observer(event)

    def _plan(self, started: float) -> Plan:
        """The budget as steps or as a deadline."""
        budget = self._budget
        if budget.minutes is None:
            epochs = budget.epochs or 0.0
            return Plan(budget.steps or max(1, round(epochs * self._lanes.blocks_per_epoch)))
        closing = SECONDS_TO_CLOSE + min(len(self._tail), REPORTED) * SECONDS_A_REPORTED_SYMBOL
        return Plan(None, started + 60 * budget.minutes, closing)

    def _begin(self, trainer: Trainer) -> Started:
        """What is known before the first step."""
        return Started(
            recipe=self._recipe.name,
            parameters=trainer.model.parameter_count(),
            vocabulary=len(self._corpus.vocabulary),
            training_symbols=len(self._training),
            validation_symbols=len(self._tail),
            lanes=self._lanes.lanes,
            precision=trainer.precision,
            step=trainer.step,
        )

    def _artefact(self, trainer: Trainer, nats: float | None) -> Artefact:
        """The model as it is now."""
        corpus = self._corpus
        facts: dict[str, Any] = {
            "corpus": {"name": corpus.name, "sha256": corpus.digest, "symbols": len(corpus.ids)},
            "steps": trainer.step,
            "symbols": trainer.symbols,
            "epochs": round(trainer.symbols / self._lanes.symbols_per_epoch, 3),
            "best_step": trainer.best_step,
            "precision": trainer.precision,
            "threads": torch.get_num_threads(),
            "validation": {"symbols": min(len(self._tail), REPORTED), "nats_per_symbol": nats},
        }
        return Artefact(trainer.model, corpus.vocabulary, self._recipe.to_json(), facts)


def _hold_out(ids: Symbols, share: float) -> tuple[Symbols, Symbols]:
    """What is trained on, and the tail that is not."""
    size = min(int(len(ids) * share), LONGEST_TAIL)
    cut = len(ids) - (size if size >= SHORTEST_TAIL else 0)
    return ids[:cut], ids[cut:]


def _choose_precision(trainer: Trainer) -> str:
    """The recipe's precision; for "auto" the one in which a block takes less time here, measured in turns."""
    asked = trainer.recipe.precision
    if asked != "auto":
        return asked
    position, block = trainer.lanes.position, trainer.lanes.next()
    trainer.lanes.move(position)
    times: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for _ in range(3):
        for precision, seconds in times.items():
            seconds.append(trainer.seconds_of_block(block, precision))
    return min(times, key=lambda precision: min(times[precision]))


def _check_same(path: Path | None, checkpoint: Checkpoint, facts: dict[str, Any], plan: Plan) -> None:
    """Refuses to go on with another corpus, another recipe, or another number of steps."""
    recipe, found = facts["recipe"], checkpoint.facts.get("recipe", {})
    changed = [(name, found.get(name), value) for name, value in recipe.items() if found.get(name) != value]
    if checkpoint.facts.get("corpus") != facts["corpus"]:
        changed.append(("a corpus with sha256", checkpoint.facts.get("corpus"), facts["corpus"]))
    for name, was, value in changed[:1]:
        raise ArtefactError(
            f"the run in {path} has {name} {was!r}, not {value!r}",
            hint="resume with what it was begun with, or begin anew without --resume",
        )
    steps = checkpoint.facts["run"]["steps"]
    if plan.steps and steps and plan.steps != steps:
        raise RecipeError(
            f"the run in {path} has {steps} steps, not {plan.steps}", hint="resume without --steps"
        )


def _beside(output: Path, suffix: str) -> Path:
    """A file beside the model that shares its name: nietzsche.onward -> nietzsche.log.jsonl."""
    return output.with_name(output.name.removesuffix(".onward") + suffix)
