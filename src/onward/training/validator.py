"""Checks during training: the held-out loss, the best weights, and samples."""

import time
from collections.abc import Callable

from onward.training.best_weights import BestWeights
from onward.training.events import Sampled, Validated
from onward.training.held_out import HeldOut, held_out_loss
from onward.training.plan import SAMPLES_SHARE
from onward.training.trainer import Trainer

_FITTING_PASSES, _FP32_SLOWDOWN = 4, 2.0
"""Passes over the pieces of a check to fit the temperature; duration of a pass in float32, in checks."""

WORSE_CHECKS, WORSE_BY = 3, 0.05
"""A run is worsening if this many checks in a row were worse than the best one, and the last one by this many
nats per symbol. A smaller difference often disappears as the learning rates fall."""


class Validator:
    """Scores the held-out text during a run and keeps the best weights.

    Args:
        held_out: the held-out pieces, of which each check scores the same. If there are none, nothing is
            checked.

    Attributes:
        best: the best weights so far.
        seconds: duration of the last check.
        is_worsening: whether the last checks were worse than the best one (see `WORSE_CHECKS`).
    """

    def __init__(self, held_out: HeldOut) -> None:
        self._held_out = held_out.some()
        self._size_in_checks = len(held_out) / max(1, len(self._held_out))  # of all held-out pieces
        self.best = BestWeights()
        self.seconds = 0.0
        self.is_worsening = False
        self._worse_checks = 0

    def check(self, trainer: Trainer) -> Validated | None:
        """Scores held-out pieces, and keeps the weights if their loss is the lowest so far."""
        if not len(self._held_out):
            return None
        started = time.monotonic()
        with trainer.evaluated() as model:
            nats = held_out_loss(model, self._held_out)
            event = Validated(trainer.step, nats, self.best.offer(nats, trainer.step, model))
        self._worse_checks = 0 if event.best else self._worse_checks + 1
        is_clearly_worse = nats > self.best.nats_per_symbol + WORSE_BY
        self.is_worsening = self._worse_checks >= WORSE_CHECKS and is_clearly_worse
        self.seconds = time.monotonic() - started
        return event

    @property
    def seconds_to_close(self) -> float:
        """Estimated duration of the work after the last step: temperature and report (`train.py`)."""
        return (_FITTING_PASSES + self._size_in_checks) * self.seconds * _FP32_SLOWDOWN


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
