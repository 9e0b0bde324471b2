"""A training run from an encoded corpus to an artefact."""

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
from onward.data.vocabulary import END, Vocabulary
from onward.errors import InputError, Interrupted
from onward.model import LanguageModel
from onward.outputs import checkpoint_path, curves_path, log_path, output_lock
from onward.training.checkpoint import Checkpoint, load_checkpoint
from onward.training.curves import draw_curves
from onward.training.events import Event, Finished, NothingToResume, Observer, Started
from onward.training.log import Log
from onward.training.loop import TrainingLoop
from onward.training.plan import Budget, Plan
from onward.training.preflight import check_room, check_same, memory_is_needed, refuse_beyond_memory
from onward.training.recipe import Recipe
from onward.training.temperature import temper
from onward.training.trainer import Trainer, forked_random
from onward.training.validation import report, reported_symbols

LONGEST_TAIL, SHORTEST_TAIL = 1_000_000, 256
"""Symbols that are held out, at most, and at least: of a shorter text nothing is."""

Sampler = Callable[[Artefact], str]


@dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Attributes:
        artefact: the trained model, in evaluation mode.
        output: where it was saved, if it was.
        steps, symbols: of the whole run, with what came before it was resumed.
        seconds: of this process's part.
        validation_nats_per_symbol: of the held-out tail in one pass (see `validation.reported_symbols`), None
            where nothing was held out.
    """

    artefact: Artefact
    output: Path | None
    steps: int
    symbols: int
    seconds: float
    validation_nats_per_symbol: float | None


def train_model(  # noqa: PLR0913 - all by name, most left out
    corpus: EncodedCorpus,
    recipe: Recipe,
    budget: Budget,
    *,
    output: Path | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    observer: Observer | None = None,
    sampler: Sampler | None = None,
) -> TrainingResult:
    """Trains a model on a corpus.

    Beside the output lie, while it trains, a checkpoint and a lock, and for good a log (`.log.jsonl`) and a
    picture of the losses (`.curves.png`). The artefact is a function of corpus, recipe, steps and number of
    threads, to the byte, however often the run was stopped and resumed; where the recipe leaves the precision
    to measurement, of what was measured too, which the artefact's recipe then states.

    Args:
        corpus: the text as ids.
        recipe: every hyperparameter.
        budget: how long.
        output: the model file; without it nothing is written.
        resume: go on from the checkpoint beside the output; without one, begin, and say so.
        device: what it is trained on; by default the CPU.
        observer: is told of everything that happens.
        sampler: gives a short text by an artefact, for the observer.

    Raises:
        BusyError: another run writes to the output.
        VocabularyError: the model's file would have no room for the vocabulary.
        InputError: the output is a folder, or the run to resume has ended.
        ArtefactError, RecipeError: the checkpoint is damaged, or of another run.
        RecipeError: the run does not fit into memory.
        Interrupted, DivergedError, WriteError: see `TrainingLoop.run`.
    """
    started = time.monotonic() if budget.started is None else budget.started
    device = device or torch.device("cpu")
    refuse_beyond_memory(recipe, len(corpus.vocabulary), device)
    run = _Run(corpus, recipe, budget, device, observer or (lambda event: None), sampler)
    with forked_random(device), memory_is_needed(recipe, len(corpus.vocabulary), device):
        if output is None:
            return run.finish(*run.train(None, None, started), None, started)
        check_room(corpus.vocabulary)
        with output_lock(output):
            return _train_into(output, run, started, resume=resume)


def _train_into(output: Path, run: "_Run", started: float, *, resume: bool) -> TrainingResult:
    """A run with an output, under its lock."""
    path = checkpoint_path(output)
    checkpoint = load_checkpoint(path) if resume and path.exists() else None
    if resume and not checkpoint and output.exists():
        raise InputError(
            f"there is no {path} to go on from, and {output} is a finished model",
            hint="leave out --resume to train it anew, or name another output",
        )
    log = Log(log_path(output), resumed=checkpoint is not None)
    try:
        run.listen(log)
        if resume and checkpoint is None:
            run.tell(NothingToResume(str(path)))
        result = run.finish(*run.train(path, checkpoint, started), output, started)
    except KeyboardInterrupt as interrupt:
        raise run.stopped(path, is_resumed=checkpoint is not None) from interrupt
    finally:
        log.close()
    draw_curves(log_path(output), curves_path(output), title=run.title(output))
    path.unlink(missing_ok=True)  # last: a run that is killed before can be resumed
    return result


_LANES = "shifted"
"""Where lanes begin in the second epoch and after it: "shifted", elsewhere than before, or "fixed"."""


class _Run:
    """The parts of a run, put together."""

    def __init__(
        self,
        corpus: EncodedCorpus,
        recipe: Recipe,
        budget: Budget,
        device: torch.device,
        observer: Observer,
        sampler: Sampler | None,
    ) -> None:
        self._corpus, self._recipe, self._budget, self._sampler = corpus, recipe, budget, sampler
        self._device, self._observers = device, [observer]
        self._made = False
        self._training, self._tail = _hold_out(corpus.ids, recipe.validation)
        shares = None if corpus.vocabulary.kind == "bytes" else unknown_shares(corpus.counts)
        self._lanes = Lanes(
            self._training,
            lanes=recipe.lanes,
            steps=recipe.block,
            unknown=shares,
            seed=recipe.seed,
            shifted=_LANES == "shifted",
            noise=recipe.noise,
        )

    def listen(self, observer: Observer) -> None:
        """Tells one more."""
        self._observers.append(observer)

    def tell(self, event: Event) -> None:
        """Tells all observers."""
        for observer in self._observers:
            observer(event)

    def title(self, output: Path) -> str:
        """Of the picture."""
        return f"{output.name}: {self._recipe.name}, {self._corpus.name}"

    def train(self, path: Path | None, checkpoint: Checkpoint | None, started: float) -> tuple[Trainer, int]:
        """All steps. The model then has the weights that are to be saved: those after the step returned."""
        recipe = self._recipe
        torch.manual_seed(recipe.seed)
        model = LanguageModel(recipe.model_config(len(self._corpus.vocabulary))).train().to(self._device)
        trainer = Trainer(model, self._lanes, recipe, precision="fp32")
        if not checkpoint:
            trainer.precision = _choose_precision(trainer)
        budget = self._budget.to_json()
        facts = {"recipe": recipe.to_json(), "corpus": self._corpus.digest, "budget": budget}
        facts["lanes"] = _LANES
        sample = self._sampler
        sampler = (lambda: sample(self._artefact(trainer, trainer.step, {}))) if sample else None
        plan = self._plan(started)
        loop = TrainingLoop(
            trainer, self._tail, plan, self.tell, checkpoint=path, facts=facts, sampler=sampler
        )
        if checkpoint and path:
            check_same(path, checkpoint, facts)
            loop.resume(checkpoint)
        self.tell(self._begin(trainer))
        loop.run()
        self._made = True
        if not loop.best.weights:  # nothing is held out: the last weights count
            with trainer.evaluated():
                loop.best.keep(trainer.step, model)
        loop.best.put_into(model)
        return trainer, loop.best.step

    def finish(self, trainer: Trainer, best_step: int, output: Path | None, started: float) -> TrainingResult:
        """Tempers the model on the held-out tail, scores that in one pass, and saves the model."""
        temperature = temper(trainer.model.eval(), self._tail)
        size = reported_symbols(len(self._tail), trainer.symbols)
        nats = report(trainer.model, self._tail[:size]) if size else None
        validation = {"symbols": size, "nats_per_symbol": nats, "temperature": round(temperature, 4)}
        artefact = self._artefact(trainer, best_step, validation)
        if output:
            save(artefact, output)
        seconds = time.monotonic() - started
        self.tell(Finished(trainer.step, trainer.symbols, seconds, nats, best_step))
        return TrainingResult(artefact, output, trainer.step, trainer.symbols, seconds, nats)

    def stopped(self, path: Path, *, is_resumed: bool) -> Interrupted:
        """What to say of a run that was stopped before its first step of this process, or behind its last."""
        hint = f"go on with the same command and --resume ({path} holds the run)"
        if self._made:
            return Interrupted("stopped after the last step, before the model was saved", hint=hint)
        if is_resumed:
            return Interrupted("stopped before it went on", hint=hint)
        return Interrupted("stopped before the first step: nothing was learned yet, nothing is saved")

    def _plan(self, started: float) -> Plan:
        """The budget as steps or as a deadline."""
        budget = self._budget
        if budget.minutes is not None:
            return Plan(None, started + 60 * budget.minutes)
        epochs = budget.epochs or 0.0
        return Plan(budget.steps or max(1, round(epochs * self._lanes.blocks_per_epoch)))

    def _begin(self, trainer: Trainer) -> Started:
        """What is known before the first step."""
        return Started(
            recipe=self._recipe.name,
            parameters=trainer.model.parameter_count(),
            vocabulary=_known(self._corpus.vocabulary),
            training_symbols=len(self._training),
            validation_symbols=len(self._tail),
            lanes=self._lanes.lanes,
            precision=trainer.precision,
            step=trainer.step,
        )

    def _artefact(self, trainer: Trainer, best_step: int, validation: dict[str, Any]) -> Artefact:
        """The model as it is now."""
        corpus = self._corpus
        facts: dict[str, Any] = {
            "corpus": {
                "name": _without_folders(corpus.name),
                "sha256": corpus.digest,
                "symbols": len(corpus.ids),
                "ends": int(corpus.counts[END]),
            },
            "steps": trainer.step,
            "symbols": trainer.symbols,
            "epochs": round(trainer.symbols / self._lanes.symbols_per_epoch, 3),
            "best_step": best_step,
            "precision": trainer.precision,
            "threads": torch.get_num_threads(),
            "validation": validation,
        }
        recipe = self._recipe.to_json() | {"precision": trainer.precision}
        return Artefact(trainer.model, corpus.vocabulary, recipe, facts)


def _without_folders(name: str) -> str:
    """What a corpus is called, but for where it lies: that is nobody's business, and no part of the model."""
    return ", ".join(Path(part).name or part for part in name.split(", "))


def _known(vocabulary: Vocabulary) -> int:
    """Symbols of a text that are told apart: a byte NUL is, though it has one of onward's own ids."""
    return len(vocabulary.symbols) + (vocabulary.kind == "bytes")


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
