"""Checks during training: the held-out loss, the best weights, and samples."""

import time
from collections.abc import Callable

from onward.data.symbols import Symbols
from onward.precision import in_precision
from onward.training.best_weights import BestWeights
from onward.training.events import Sampled, Validated
from onward.training.plan import SAMPLES_SHARE
from onward.training.trainer import Trainer
from onward.training.validation import FEWEST_CHECKED, check, checked_symbols, report


class Validator:
    """Scores the held-out text during a run and keeps the best weights.

    Args:
        held_out: the held-out symbols. If there are none, nothing is checked.

    Attributes:
        best: the best weights so far.
        seconds: duration of the last check.
    """

    def __init__(self, held_out: Symbols) -> None:
        self._held_out = held_out
        self.best = BestWeights()
        self.seconds = 0.0

    def check(self, trainer: Trainer, steps: int) -> Validated | None:
        """Scores part of the held-out text, and keeps the weights if their loss is the lowest so far.

        Args:
            trainer: the run.
            steps: number of steps of the run, which determines how much is scored.
        """
        started = time.monotonic()
        size = checked_symbols(len(self._held_out), round(trainer.symbols / trainer.step * steps))
        event = None
        if size:
            with trainer.evaluated() as model:
                nats = check(model, self._held_out, size)
                event = Validated(trainer.step, nats, self.best.offer(nats, trainer.step, model))
        self.seconds = time.monotonic() - started
        return event

    def seconds_per_symbol(self, trainer: Trainer) -> tuple[float, float]:
        """Returns the seconds to score a symbol in a check, and in the final report, which is in float32."""
        size = min(len(self._held_out), FEWEST_CHECKED)
        if not size:
            return 0.0, 0.0
        held_out = self._held_out[:size]
        with trainer.evaluated() as model:
            checked = _seconds(lambda: check(model, held_out, size)) / size
            with in_precision(trainer.device, "fp32"):
                reported = _seconds(lambda: report(model, held_out)) / size
        return checked, reported


class SampleSchedule:
    """Takes samples of a model in training, for at most `SAMPLES_SHARE` of the time.

    Args:
        sampler: returns a short text that the trainer's model wrote; None takes no samples.
    """

    def __init__(self, sampler: Callable[[], str] | None) -> None:
        self._sampler = sampler
        self._sampled_at, self._seconds = time.monotonic(), 0.0

    def sample(self, trainer: Trainer) -> Sampled | None:
        """Returns a sample if one is due."""
        started = time.monotonic()
        if not self._sampler or started - self._sampled_at <= self._seconds / SAMPLES_SHARE:
            return None
        with trainer.evaluated():
            text = self._sampler()
        self._sampled_at = time.monotonic()
        self._seconds = self._sampled_at - started
        return Sampled(trainer.step, text)


def _seconds(work: Callable[[], object]) -> float:
    """Returns the duration of a second call, because the first one also allocates memory."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
