import math
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from tests.training.conftest import Limit, MakeTrainer, Small

from onward.data.encoded import EncodedCorpus
from onward.errors import DivergedError, Interrupted, WriteError
from onward.training import checkpointer, rollback
from onward.training.checkpoint import load_checkpoint
from onward.training.events import (
    CheckpointSaved,
    EpochStarted,
    Event,
    ManyEpochs,
    Planned,
    RolledBack,
    Sampled,
    Stepped,
    Validated,
)
from onward.training.held_out import HeldOut
from onward.training.loop import TrainingLoop
from onward.training.plan import CHECKS, Plan
from onward.training.rollback import ROLL_BACKS
from onward.training.trainer import StepResult, Trainer

Kind = TypeVar("Kind", bound=Event)


class StoppedError(Exception):
    """Ends a run from outside."""


@pytest.fixture
def held_out(corpus: EncodedCorpus) -> HeldOut:
    return HeldOut.cut(corpus.ids, [len(corpus.ids) - 400, len(corpus.ids) - 200], 200, 50)


def of_kind(events: list[Event], kind: type[Kind]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]


def ignore(event: Event) -> None:
    """An observer that does nothing."""


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in trainer.model.parameters()]


def stop_at(step: int) -> Callable[[Event], None]:
    """Returns an observer that ends the run at a step, before anything else that is due after it."""

    def observer(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == step:
            raise StoppedError

    return observer


def test_a_run_reports_steps_epochs_checks_and_samples(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer
) -> None:
    trainer, events = make_trainer(small(warm_up=0)), list[Event]()
    steps = trainer.lanes.blocks_per_epoch + 60
    TrainingLoop(trainer, held_out, Plan.of(steps), events.append, sampler=lambda: "a sample").run()
    stepped = of_kind(events, Stepped)
    assert [event.step for event in stepped] == list(range(1, steps + 1))
    assert of_kind(events, EpochStarted) == [EpochStarted(1, 0), EpochStarted(2, steps - 60)]
    checks = of_kind(events, Validated)
    assert checks[-1].step == steps
    assert CHECKS // 2 <= len(checks) <= CHECKS
    losses = [check.nats_per_symbol for check in checks]
    assert [check.best for check in checks] == [x == min(losses[: i + 1]) for i, x in enumerate(losses)]
    assert {sample.text for sample in of_kind(events, Sampled)} == {"a sample"}
    assert stepped[-1].nats_per_symbol < 0.8 * stepped[0].nats_per_symbol
    assert stepped[-1].seconds_left == 0.0


def test_a_resumed_run_repeats_the_losses_of_an_uninterrupted_one(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    recipe = small(dropout=0.2)
    alone, events = list[Event](), list[Event]()
    TrainingLoop(make_trainer(recipe), held_out, Plan.of(40), alone.append).run()

    def interrupt(event: Event) -> None:
        events.append(event)
        if isinstance(event, Stepped) and event.step == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    loop = TrainingLoop(make_trainer(recipe), held_out, Plan.of(40), interrupt, checkpoint=tmp_path / "c")
    with pytest.raises(Interrupted):
        loop.run()
    resumed = TrainingLoop(make_trainer(recipe), held_out, Plan.of(40), events.append)
    resumed.resume(load_checkpoint(tmp_path / "c"))
    resumed.run()
    figures = [
        [(e.step, e.nats_per_symbol, e.gradient_norm) for e in of_kind(run, Stepped)]
        for run in (alone, events)
    ]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
@pytest.mark.slow
def test_a_run_killed_anywhere_ends_with_the_same_state(
    layer: str,
    held_out: HeldOut,
    small: Small,
    make_trainer: MakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills and checkpoints at random steps; weights, optimiser and best weights end alike."""
    recipe = small(layer=layer, dropout=0.2, precision="bf16", block=70)
    monkeypatch.setattr(rollback, "STEPS_BETWEEN_SNAPSHOTS", 7)
    alone = make_trainer(recipe)
    expected = TrainingLoop(alone, held_out, Plan.of(45), ignore)
    expected.run()
    end, chance, path = alone.snapshot(), random.Random(layer), tmp_path / "c"

    def resume(trainer: Trainer, steps: int) -> TrainingLoop:
        """Resumes the run and ends it after that many steps, with checkpoints after some of them."""
        left = steps

        def observer(event: Event) -> None:
            nonlocal left
            if isinstance(event, Stepped):
                left -= 1
                seconds = 0.0 if chance.random() < 0.7 else math.inf
                monkeypatch.setattr(checkpointer, "SECONDS_BETWEEN_CHECKPOINTS", seconds)
                if left == 0:
                    raise StoppedError

        loop = TrainingLoop(trainer, held_out, Plan.of(45), observer, checkpoint=path)
        if path.exists():
            loop.resume(load_checkpoint(path))
        else:
            torch.set_rng_state(make_trainer(recipe).snapshot().tensors["random"])
        loop.run()
        return loop

    lives = 0
    while True:
        trainer = make_trainer(recipe)
        torch.manual_seed(chance.randrange(10**6))  # another process has another random state
        lives += 1
        try:
            done = resume(trainer, chance.randrange(2, 10))
            break
        except StoppedError:
            continue
    found = trainer.snapshot()
    assert lives > 5
    assert found.facts == end.facts
    assert all(value.equal(end.tensors[name]) for name, value in found.tensors.items())
    assert (done.best.step, done.best.nats_per_symbol) == (expected.best.step, expected.best.nats_per_symbol)
    assert all(value.equal(expected.best.weights[name]) for name, value in done.best.weights.items())


def make_diverge(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, diverges: Callable[[Trainer], bool]
) -> None:
    """Makes the loss of a step NaN if `diverges` is true before the step, as if weights had overflowed."""
    advance = trainer.advance

    def faulty() -> StepResult:
        broken = diverges(trainer)
        result = advance()
        return StepResult(math.nan, math.nan, None) if broken else result

    monkeypatch.setattr(trainer, "advance", faulty)


def test_a_run_that_diverges_is_rolled_back_and_continues(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "STEPS_BETWEEN_SNAPSHOTS", 10)
    trainer, events = make_trainer(small()), list[Event]()
    make_diverge(trainer, monkeypatch, lambda t: t.step >= 27 and t.rate_scale > 0.25)
    TrainingLoop(trainer, held_out, Plan.of(40), events.append).run()
    back = of_kind(events, RolledBack)
    assert [(event.step, event.to, event.rate_scale) for event in back] == [(28, 20, 0.5), (29, 20, 0.25)]
    assert "the loss was nan" in back[0].reason
    assert trainer.step == 40
    steps = [event.step for event in of_kind(events, Stepped)]
    assert steps == [*range(1, 28), *range(30, 41)]  # the two steps that diverged are counted


def test_a_snapshot_that_itself_diverges_is_never_restored(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "STEPS_BETWEEN_SNAPSHOTS", 10)
    trainer, events = make_trainer(small()), list[Event]()
    make_diverge(trainer, monkeypatch, lambda t: t.step == 20 and t.rate_scale == 1.0)
    TrainingLoop(trainer, held_out, Plan.of(30), events.append).run()
    assert [(event.step, event.to) for event in of_kind(events, RolledBack)] == [(21, 10)]


def test_a_run_gives_up_after_some_rollbacks(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, events = make_trainer(small()), list[Event]()
    make_diverge(trainer, monkeypatch, lambda t: t.step >= 5)
    with pytest.raises(
        DivergedError, match=f"diverged at step {6 + ROLL_BACKS}, even after {ROLL_BACKS} halv"
    ) as error:
        TrainingLoop(trainer, held_out, Plan.of(30), events.append).run()
    scales = [event.rate_scale for event in of_kind(events, RolledBack)]
    assert scales == [0.5**i for i in range(1, ROLL_BACKS + 1)]
    assert "lower rate" in error.value.hint


def test_an_absurd_learning_rate_is_halved_until_it_works(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer
) -> None:
    """No step is made to fail here: these diverge by themselves."""
    trainer, events = make_trainer(small(optimiser="adamw", rate=10.0, warm_up=0, clip=1e-3)), list[Event]()
    TrainingLoop(trainer, held_out, Plan.of(60), events.append).run()
    assert of_kind(events, RolledBack)
    assert trainer.rate_scale < 1.0
    assert all(weight.isfinite().all() for weight in weights(trainer))


def test_a_resumed_run_keeps_the_scaled_rate_and_the_last_good_snapshot(
    held_out: HeldOut,
    small: Small,
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(rollback, "STEPS_BETWEEN_SNAPSHOTS", 10)
    trainer = make_trainer(small())
    make_diverge(trainer, monkeypatch, lambda t: t.step == 12 and t.rate_scale == 1.0)
    stop = stop_at(16)
    monkeypatch.setattr(checkpointer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(StoppedError):
        TrainingLoop(trainer, held_out, Plan.of(20), stop, checkpoint=tmp_path / "c").run()
    again, events = make_trainer(small()), list[Event]()
    loop = TrainingLoop(again, held_out, Plan.of(20), events.append)
    loop.resume(load_checkpoint(tmp_path / "c"))
    assert (again.step, again.rate_scale) == (15, 0.5)
    make_diverge(again, monkeypatch, lambda t: t.step == 17 and t.rate_scale == 0.5)
    loop.run()
    assert [(event.step, event.to) for event in of_kind(events, RolledBack)] == [(18, 10)]


def test_the_best_weights_are_resumed_on_the_device_of_the_model(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """Otherwise a model on a GPU would be moved to the CPU with its best weights."""
    TrainingLoop(make_trainer(small()), held_out, Plan.of(4), ignore, checkpoint=tmp_path / "c").run()
    trainer = make_trainer(small())
    trainer.device = torch.device("meta")  # stands for a GPU
    loop = TrainingLoop(trainer, held_out, Plan.of(4), ignore)
    loop.resume(load_checkpoint(tmp_path / "c"))
    assert {weight.device.type for weight in loop.best.weights.values()} == {"meta"}


@pytest.mark.parametrize("step", [1, 13, 30])
def test_a_signal_stops_the_run_between_steps(
    step: int, held_out: HeldOut, small: Small, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=f"stopped at step {step} of 30") as error:
        TrainingLoop(make_trainer(small()), held_out, Plan.of(30), interrupt, checkpoint=tmp_path / "c").run()
    assert "--resume" in error.value.hint
    assert load_checkpoint(tmp_path / "c").facts["run"]["step"] == step


def test_a_full_disk_keeps_the_checkpoint_before(
    held_out: HeldOut,
    small: Small,
    make_trainer: MakeTrainer,
    tmp_path: Path,
    small_files: Limit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "c"
    monkeypatch.setattr(checkpointer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    loop = TrainingLoop(make_trainer(small()), held_out, Plan.of(9), stop_at(2), checkpoint=path)
    with pytest.raises(StoppedError):
        loop.run()
    before = path.read_bytes()
    with small_files(len(before) // 2), pytest.raises(WriteError, match="cannot write"):
        loop.run()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


@pytest.mark.slow
def test_the_schedule_of_a_timed_run_gives_the_same_weights(
    held_out: HeldOut, small: Small, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    recipe, events = small(dropout=0.2), list[Event]()
    timed = make_trainer(recipe)
    plan = Plan(deadline=time.monotonic() + 4.0)
    # this sampler draws from the random stream of training
    loop = TrainingLoop(
        timed, held_out, plan, events.append, checkpoint=tmp_path / "c", sampler=lambda: str(torch.rand(1))
    )
    loop.run()
    assert len(of_kind(events, Planned)) == 1
    assert timed.step == timed.schedule.steps
    assert of_kind(events, CheckpointSaved)
    counted = make_trainer(recipe)
    again = TrainingLoop(counted, held_out, Plan(timed.schedule), ignore)
    again.run()
    assert all(map(torch.equal, weights(timed), weights(counted)))
    assert all(value.equal(again.best.weights[name]) for name, value in loop.best.weights.items())


def test_without_held_out_text_nothing_is_checked(small: Small, make_trainer: MakeTrainer) -> None:
    events = list[Event]()
    loop = TrainingLoop(make_trainer(small()), HeldOut.none(), Plan.of(20), events.append)
    loop.run()
    assert not of_kind(events, Validated)
    assert not loop.best.weights


@pytest.mark.parametrize(("dropout", "width", "warned"), [(0.0, 64, True), (0.1, 64, False), (0.0, 4, False)])
def test_many_epochs_are_reported_before_the_first_step(
    held_out: HeldOut,
    small: Small,
    make_trainer: MakeTrainer,
    dropout: float,
    width: int,
    warned: bool,
) -> None:
    trainer, events = make_trainer(small(dropout=dropout, width=width)), list[Event]()

    def observe(event: Event) -> None:
        events.append(event)
        if isinstance(event, Stepped):
            raise StoppedError

    with pytest.raises(StoppedError):
        TrainingLoop(trainer, held_out, Plan.of(5 * trainer.lanes.blocks_per_epoch), observe).run()
    warnings = of_kind(events, ManyEpochs)
    assert warnings == ([ManyEpochs(5.0)] if warned else [])
    assert not warned or isinstance(events[0], ManyEpochs)
