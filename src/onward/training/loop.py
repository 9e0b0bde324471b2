"""The loop of a run: steps, checks, checkpoints, and what is done when something goes wrong."""

import math
import signal
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onward.data.symbols import Symbols
from onward.errors import DivergedError, Interrupted
from onward.training.checkpoint import Checkpoint, save_checkpoint
from onward.training.optimiser import FIRST_FALL
from onward.training.report import (
    EpochStarted,
    Observer,
    Planned,
    RolledBack,
    Sampled,
    Saved,
    Stepped,
    Validated,
)
from onward.training.trainer import EXPLODED, Trainer
from onward.training.validation import check

CHECKS = 10
"""How often the held-out tail is looked at in a run."""

SECONDS_BETWEEN_CHECKPOINTS = 20.0
ROLL_BACKS = 8
"""After so many a run gives up."""

_TIMED = 30
"""Steps before `FIRST_FALL` whose time says how many fit the minutes; those before them warm up caches."""


@dataclass
class Plan:
    """How long a run goes on.

    Attributes:
        steps: fixed beforehand, or None: as many as end before the deadline.
        deadline: on the clock of `time.monotonic`, of the run with everything that comes after its last step.
        closing_seconds: what comes after the last step, without the checks; estimated.
    """

    steps: int | None = None
    deadline: float = math.inf
    closing_seconds: float = 0.0


class Loop:
    """Makes the steps of a plan.

    Args:
        trainer: the run; it may stand anywhere.
        tail: the held-out symbols; may be empty, then nothing is checked and the last weights count.
        plan: how long.
        observer: is told of everything.
        checkpoint: where checkpoints go; None writes none.
        facts: what a checkpoint says besides the trainer's own facts.
        sampler: gives a short text by the model as it is; called after each check.
    """

    def __init__(
        self,
        trainer: Trainer,
        tail: Symbols,
        plan: Plan,
        observer: Observer,
        *,
        checkpoint: Path | None = None,
        facts: dict | None = None,
        sampler: Callable[[], str] | None = None,
    ) -> None:
        self._trainer, self._tail, self._plan, self._observe = trainer, tail, plan, observer
        self._path, self._facts, self._sampler = checkpoint, facts or {}, sampler
        self._durations: deque[float] = deque(maxlen=_TIMED)
        self._check_seconds = 0.0
        self._saved_at = time.monotonic()
        self._last_good: Checkpoint = trainer.snapshot()

    def run(self) -> None:
        """Makes the steps that are left.

        Raises:
            Interrupted: a first SIGINT or SIGTERM; a checkpoint was written.
            DivergedError: `ROLL_BACKS` halvings of the learning rate did not help.
            WriteError: a checkpoint could not be written; the one before it is untouched.
        """
        trainer = self._trainer
        if trainer.steps is None:
            trainer.steps = self._plan.steps
        with _interruptions() as interrupted:
            while trainer.steps is None or trainer.step < trainer.steps:
                self._step()
                if interrupted():
                    self._stop()

    def _step(self) -> None:
        """One step, and what is due after it."""
        trainer, started = self._trainer, time.perf_counter()
        nats, norm, new_epoch = trainer.advance()
        self._durations.append(time.perf_counter() - started)
        if new_epoch:
            self._observe(EpochStarted(trainer.lanes.epoch + 1))
        if not (math.isfinite(nats) and norm < EXPLODED * trainer.recipe.clip):
            self._roll_back(nats, norm)
            return
        self._observe(self._stepped(nats, norm))
        if trainer.steps is None and trainer.step >= FIRST_FALL:
            self._fix_steps()
        if trainer.steps is not None and self._is_due(trainer.steps):
            self._check()
        if time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._save()

    def _fix_steps(self) -> None:
        """Turns the time that is left into steps, once; from here on the clock decides nothing."""
        trainer, plan = self._trainer, self._plan
        self._check()
        left = plan.deadline - time.monotonic() - plan.closing_seconds - CHECKS * self._check_seconds
        per_step = statistics.median(self._durations)
        steps = trainer.steps = trainer.step + max(1, int(left / per_step))
        self._observe(Planned(steps))

    def _is_due(self, steps: int) -> bool:
        """Whether a check falls behind this step: after each tenth of the run, and after its last step."""
        step = self._trainer.step
        return step * CHECKS // steps > (step - 1) * CHECKS // steps

    def _check(self) -> None:
        """Scores the tail, keeps the best weights, remembers the moment to roll back to, shows a sample."""
        trainer, started = self._trainer, time.perf_counter()
        if len(self._tail):
            with trainer.autocast():
                nats = check(trainer.model, self._tail)
            self._observe(Validated(trainer.step, nats, trainer.keep_if_best(nats)))
        self._last_good = trainer.snapshot()
        if self._sampler:
            self._observe(Sampled(trainer.step, self._sampler()))
        self._check_seconds = time.perf_counter() - started

    def _roll_back(self, nats: float, norm: float) -> None:
        """Goes back to the last check, at half the learning rate."""
        trainer, step = self._trainer, self._trainer.step
        scale = trainer.rate_scale / 2
        reason = f"the loss was {nats:.4g} nats per symbol and the norm of its gradient {norm:.4g}"
        if scale < 2.0**-ROLL_BACKS:
            raise DivergedError(
                f"at step {step} {reason}, also after {ROLL_BACKS} halvings of the learning rate",
                hint="lower rate and muon_rate, or clip, with --set",
            )
        trainer.restore(self._last_good)
        trainer.rate_scale = scale
        self._last_good = trainer.snapshot()
        self._observe(RolledBack(step, trainer.step, reason, scale))

    def _save(self) -> None:
        """Writes a checkpoint."""
        if self._path:
            now, good = self._trainer.snapshot(), self._last_good
            tensors = now.tensors | {f"good/{name}": tensor for name, tensor in good.tensors.items()}
            facts = {"run": now.facts, "good": good.facts, **self._facts}
            save_checkpoint(Checkpoint(tensors, facts), self._path)
            self._observe(Saved(self._trainer.step, str(self._path)))
        self._saved_at = time.monotonic()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Goes to the moment that `_save` wrote."""
        tensors = checkpoint.tensors
        good = {name.removeprefix("good/"): t for name, t in tensors.items() if name.startswith("good/")}
        self._last_good = Checkpoint(good, checkpoint.facts["good"])
        self._trainer.restore(Checkpoint(tensors, checkpoint.facts["run"]))

    def _stop(self) -> None:
        """Ends the run so that it can go on."""
        self._save()
        step, steps = self._trainer.step, self._trainer.steps
        raise Interrupted(
            f"stopped at step {step} of {steps or 'as many as the time allows'}",
            hint=f"go on with the same command and --resume ({self._path} holds the run)"
            if self._path
            else "",
        )

    def _stepped(self, nats: float, norm: float) -> Stepped:
        """What is told of the step just made."""
        trainer = self._trainer
        per_step = statistics.median(self._durations)
        done = trainer.step / (trainer.steps or 10**9)
        left = None if trainer.steps is None else (trainer.steps - trainer.step) * per_step
        if left is not None:
            left += self._check_seconds * CHECKS * (1 - done)
        return Stepped(
            step=trainer.step,
            steps=trainer.steps,
            nats_per_symbol=nats,
            gradient_norm=norm,
            symbols=trainer.symbols,
            symbols_per_second=trainer.symbols / trainer.step / per_step,
            seconds_left=left,
        )


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came. The first is held back until a step is whole; a second acts at once."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        seen.append(number)
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
