import math
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import Limit

from onward.data.encoded import EncodedCorpus
from onward.errors import DivergedError, Interrupted, WriteError
from onward.training import loop as loops
from onward.training.checkpoint import load_checkpoint
from onward.training.events import (
    CheckpointSaved,
    EpochStarted,
    Event,
    OverBudget,
    Planned,
    ReadOften,
    RolledBack,
    Sampled,
    Stepped,
    Validated,
)
from onward.training.loop import ROLL_BACKS, TrainingLoop
from onward.training.plan import CHECKS, Plan
from onward.training.recipe import Recipe
from onward.training.trainer import StepResult, Trainer

Make = Callable[[Recipe], Trainer]


@pytest.fixture
def tail(corpus: EncodedCorpus) -> np.ndarray:
    return np.asarray(corpus.ids)[-400:]


def of_kind(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def careless() -> str:
    """A sampler that draws of the random stream of training."""
    return str(torch.rand(1))


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in trainer.model.parameters()]


def test_a_run_tells_all(tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make) -> None:
    trainer, events = make_trainer(small(warm_up=0)), list[Event]()
    steps = trainer.lanes.blocks_per_epoch + 60
    TrainingLoop(trainer, tail, Plan(steps), events.append, sampler=lambda: "a sample").run()
    assert [event.step for event in of_kind(events, Stepped)] == list(range(1, steps + 1))
    assert of_kind(events, EpochStarted) == [EpochStarted(1, 0), EpochStarted(2, steps - 60)]
    checks = of_kind(events, Validated)
    assert checks[-1].step == steps
    assert CHECKS // 2 <= len(checks) <= CHECKS
    losses = [check.nats_per_symbol for check in checks]
    assert [check.best for check in checks] == [x == min(losses[: i + 1]) for i, x in enumerate(losses)]
    assert {sample.text for sample in of_kind(events, Sampled)} == {"a sample"}
    assert of_kind(events, Stepped)[-1].nats_per_symbol < 0.8 * events[1].nats_per_symbol  # type: ignore[union-attr]
    assert of_kind(events, Stepped)[-1].seconds_left == 0.0


def test_the_loss_goes_on_where_it_was(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, tmp_path: Path
) -> None:
    """Each step of a resumed run has the very loss and gradient that it had in a run left alone."""
    recipe = small(dropout=0.2)
    alone, events = list[Event](), list[Event]()
    TrainingLoop(make_trainer(recipe), tail, Plan(40), alone.append).run()

    class StopError(Exception):
        pass

    def stop(event: Event) -> None:
        events.append(event)
        if isinstance(event, Stepped) and event.step == 17:
            raise StopError

    loop = TrainingLoop(make_trainer(recipe), tail, Plan(40), stop, checkpoint=tmp_path / "c")
    with pytest.raises(StopError):
        loop.run()
    loop._save()
    resumed = TrainingLoop(make_trainer(recipe), tail, Plan(40), events.append, checkpoint=tmp_path / "c")
    resumed.resume(load_checkpoint(tmp_path / "c"))
    resumed.run()
    figures = [
        [(e.step, e.nats_per_symbol, e.gradient_norm) for e in of_kind(run, Stepped)]
        for run in (alone, events)
    ]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_stopped_anywhere_the_end_is_the_same(
    layer: str,
    tail: np.ndarray,
    small: Callable[..., Recipe],
    make_trainer: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed at random steps, checkpoints at others: weights, optimiser and best end alike."""
    recipe = small(layer=layer, dropout=0.2, precision="bf16", block=70)
    monkeypatch.setattr(loops, "STEPS_BETWEEN_SNAPSHOTS", 7)
    alone = make_trainer(recipe)
    best = TrainingLoop(alone, tail, Plan(45), lambda event: None)
    best.run()
    end, chance = alone.snapshot(), random.Random(layer)
    path, done, lives = tmp_path / "c", False, 0
    while not done:
        trainer = make_trainer(recipe)
        torch.manual_seed(chance.randrange(10**6))  # a resumed process has not the random state of the first
        loop = TrainingLoop(trainer, tail, Plan(45), lambda event: None, checkpoint=path)
        if path.exists():
            loop.resume(load_checkpoint(path))
        else:
            torch.set_rng_state(make_trainer(recipe).snapshot().tensors["random"])
        lives += 1
        for _ in range(chance.randrange(1, 9)):
            if trainer.step < 45:
                loop._step()
        done = trainer.step == 45
        if chance.random() < 0.7 or done:
            loop._save()
    found = trainer.snapshot()
    assert lives > 5
    assert found.facts == end.facts
    assert all(value.equal(end.tensors[name]) for name, value in found.tensors.items())
    assert (loop.best.step, loop.best.nats_per_symbol) == (best.best.step, best.best.nats_per_symbol)
    assert all(value.equal(best.best.weights[name]) for name, value in loop.best.weights.items())


def failing(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, fails: Callable[[Trainer], bool]) -> None:
    """Lets steps before which `fails` end with a loss that is not a number, as if weights had overflowed."""
    advance = trainer.advance

    def faulty() -> StepResult:
        broken = fails(trainer)
        result = advance()
        return StepResult(math.nan, math.nan, None) if broken else result

    monkeypatch.setattr(trainer, "advance", faulty)


def test_a_run_that_goes_wrong_goes_back_and_on(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "STEPS_BETWEEN_SNAPSHOTS", 10)
    trainer, events = make_trainer(small()), list[Event]()
    failing(trainer, monkeypatch, lambda t: t.step == 27 and t.rate_scale > 0.25)
    TrainingLoop(trainer, tail, Plan(40), events.append).run()
    back = of_kind(events, RolledBack)
    assert [(event.step, event.to, event.rate_scale) for event in back] == [(28, 20, 0.5), (28, 20, 0.25)]
    assert "the loss was nan" in back[0].reason
    assert (trainer.step, trainer.steps) == (40, 40)
    steps = [event.step for event in of_kind(events, Stepped)]
    assert steps == [*range(1, 28), *range(21, 28), *range(21, 41)]


def test_a_snapshot_that_gives_no_finite_loss_is_never_gone_back_to(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "STEPS_BETWEEN_SNAPSHOTS", 10)
    trainer, events = make_trainer(small()), list[Event]()
    failing(trainer, monkeypatch, lambda t: t.step == 20 and t.rate_scale == 1.0)
    TrainingLoop(trainer, tail, Plan(30), events.append).run()
    assert [(event.step, event.to) for event in of_kind(events, RolledBack)] == [(21, 10)]


def test_a_run_gives_up(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, events = make_trainer(small()), list[Event]()
    failing(trainer, monkeypatch, lambda t: t.step == 5)
    with pytest.raises(DivergedError, match=f"at step 6 .* after {ROLL_BACKS} halvings") as error:
        TrainingLoop(trainer, tail, Plan(30), events.append).run()
    assert [event.rate_scale for event in of_kind(events, RolledBack)] == [
        0.5**i for i in range(1, ROLL_BACKS + 1)
    ]
    assert "lower rate" in error.value.hint


def test_an_absurd_learning_rate_is_halved_until_it_works(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really: no step is made to fail here."""
    trainer, events = make_trainer(small(optimiser="adamw", rate=10.0, warm_up=0, clip=1e-3)), list[Event]()
    TrainingLoop(trainer, tail, Plan(60), events.append).run()
    assert of_kind(events, RolledBack)
    assert trainer.rate_scale < 1.0
    assert all(weight.isfinite().all() for weight in weights(trainer))


def test_where_a_run_stands_after_going_back_is_resumed(
    tail: np.ndarray,
    small: Callable[..., Recipe],
    make_trainer: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(loops, "STEPS_BETWEEN_SNAPSHOTS", 10)
    trainer = make_trainer(small())
    failing(trainer, monkeypatch, lambda t: t.step == 12 and t.rate_scale == 1.0)
    TrainingLoop(trainer, tail, Plan(15), lambda event: None, checkpoint=tmp_path / "c").run()
    again = make_trainer(small())
    loop = TrainingLoop(again, tail, Plan(15), lambda event: None)
    loop.resume(load_checkpoint(tmp_path / "c"))
    assert again.rate_scale == 0.5
    assert loop._last_good.facts["step"] == 10


def test_the_best_weights_are_resumed_where_the_model_lies(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, tmp_path: Path
) -> None:
    """Else a model on a GPU, once these are put into it, would be one on the CPU."""
    TrainingLoop(make_trainer(small()), tail, Plan(4), lambda event: None, checkpoint=tmp_path / "c").run()
    trainer = make_trainer(small())
    trainer.device = torch.device("meta")  # stands for one that is not at hand
    loop = TrainingLoop(trainer, tail, Plan(4), lambda event: None)
    loop.resume(load_checkpoint(tmp_path / "c"))
    assert {weight.device.type for weight in loop.best.weights.values()} == {"meta"}


@pytest.mark.parametrize("stop_at", [1, 13, 30])
def test_a_signal_ends_the_run_between_steps(
    stop_at: int, tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, tmp_path: Path
) -> None:

    def interrupt(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=f"stopped at step {stop_at} of 30") as error:
        TrainingLoop(make_trainer(small()), tail, Plan(30), interrupt, checkpoint=tmp_path / "c").run()
    assert "--resume" in error.value.hint
    assert load_checkpoint(tmp_path / "c").facts["run"]["step"] == stop_at


def test_a_disk_without_room_leaves_the_checkpoint_before(
    tail: np.ndarray,
    small: Callable[..., Recipe],
    make_trainer: Make,
    tmp_path: Path,
    small_files: Limit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = TrainingLoop(make_trainer(small()), tail, Plan(9), lambda event: None, checkpoint=tmp_path / "c")
    loop._step()
    loop._save()
    before = (tmp_path / "c").read_bytes()
    monkeypatch.setattr(loops, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with small_files(len(before) // 2), pytest.raises(WriteError, match="cannot write"):
        loop.run()
    assert (tmp_path / "c").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_minutes_become_steps_and_end_as_those_steps_do(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, tmp_path: Path
) -> None:

    recipe, events = small(dropout=0.2), list[Event]()
    timed = make_trainer(recipe)
    plan = Plan(None, time.monotonic() + 3.0)
    loop = TrainingLoop(
        timed, tail, plan, events.append, checkpoint=tmp_path / "c", sampler=lambda: str(torch.rand(1))
    )
    loop.run()
    (planned,) = of_kind(events, Planned)
    assert timed.step == planned.steps
    assert of_kind(events, CheckpointSaved)
    counted = make_trainer(recipe)
    again = TrainingLoop(counted, tail, Plan(planned.steps), lambda event: None)
    again.run()
    assert all(map(torch.equal, weights(timed), weights(counted)))
    assert all(value.equal(again.best.weights[name]) for name, value in loop.best.weights.items())


def test_what_the_report_takes_is_measured_in_its_own_precision(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report at the end is in float32, a check in that of the run; bfloat16 takes half the time."""
    rounded: dict[str, set[bool]] = {"check": set(), "report": set()}
    for name, found in rounded.items():
        monkeypatch.setattr(
            loops, name, lambda *_, found=found: found.add(torch.is_autocast_enabled("cpu")) or 1.0
        )
    loop = TrainingLoop(make_trainer(small(precision="bf16")), tail, Plan(9), lambda event: None)
    loop._step()
    loop._costs()
    assert rounded == {"check": {True}, "report": {False}}


def test_nothing_held_out_is_never_checked(small: Callable[..., Recipe], make_trainer: Make) -> None:
    events = list[Event]()
    loop = TrainingLoop(make_trainer(small()), np.array([], dtype=np.uint8), Plan(20), events.append)
    loop.run()
    assert not of_kind(events, Validated)
    assert not loop.best.weights


@pytest.mark.parametrize(("dropout", "width", "told"), [(0.0, 64, 1), (0.1, 64, 0), (0.0, 4, 0)])
def test_a_text_that_will_be_read_often_is_told_before_the_first_step(
    tail: np.ndarray,
    small: Callable[..., Recipe],
    make_trainer: Make,
    dropout: float,
    width: int,
    told: int,
) -> None:
    trainer, events = make_trainer(small(dropout=dropout, width=width)), list[Event]()
    loop = TrainingLoop(trainer, tail, Plan(5 * trainer.lanes.blocks_per_epoch), events.append)
    trainer.advance = stop  # type: ignore[method-assign]
    with pytest.raises(StoppedError):
        loop.run()
    assert of_kind(events, ReadOften) == told * [ReadOften(5.0)]


def test_a_run_that_is_late_says_so_once(
    tail: np.ndarray, small: Callable[..., Recipe], make_trainer: Make
) -> None:
    for deadline, told in ((time.monotonic() - 10, 1), (time.monotonic() + 600, 0)):
        events = list[Event]()
        TrainingLoop(make_trainer(small()), tail, Plan(4, deadline), events.append).run()
        late = of_kind(events, OverBudget)
        assert len(late) == told
        assert all(event.seconds > 0 for event in late)


class StoppedError(Exception):
    """Ends a run before its first step."""


def stop() -> StepResult:
    raise StoppedError
