from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import MakeTrainer, Small

from onward.data.encoded import EncodedCorpus
from onward.data.lanes import as_stream
from onward.data.sequences import SequenceLanes, Sequences
from onward.errors import ArtefactError, CorpusError
from onward.layers.state import tensors_of
from onward.model import LanguageModel, losses
from onward.training.checkpoint import Checkpoint
from onward.training.held_out import HeldOut, held_out_loss
from onward.training.trainer import EXPLODED, Trainer

LAYERS = ["gated", "lstm", "gru", "simple"]


def same(first: Checkpoint, second: Checkpoint) -> bool:
    equal = all(torch.equal(value, second.tensors[name]) for name, value in first.tensors.items())
    return equal and first.tensors.keys() == second.tensors.keys() and first.facts == second.facts


@pytest.mark.parametrize("layer", LAYERS)
def test_the_state_is_carried_from_block_to_block(
    layer: str, corpus: EncodedCorpus, small: Small, make_trainer: MakeTrainer
) -> None:
    """With fixed weights, the mean loss over the blocks of an epoch is that of one pass over each lane."""
    trainer = make_trainer(small(layer=layer, rate=0.0, muon_rate=0.0, block=23))
    blocks = [trainer.advance() for _ in range(trainer.lanes.blocks_per_epoch)]
    again = trainer.advance()
    sizes = [23] * (len(blocks) - 1)
    length = len(corpus.ids) // 4
    sizes.append(length - sum(sizes))
    mean = sum(block.nats_per_symbol * size for block, size in zip(blocks, sizes, strict=True)) / length
    x, y = as_stream(corpus.ids[: 4 * length])
    with torch.no_grad():
        lanes = x.view(4, length).t(), y.view(4, length).t()
        logits, _ = trainer.model(lanes[0], trainer.model.initial_state(4))
        expected = losses(logits, lanes[1]).mean()
    assert mean == pytest.approx(float(expected), rel=1e-5)
    assert again.nats_per_symbol == pytest.approx(blocks[0].nats_per_symbol, rel=1e-6)  # the state was reset
    assert [block.epoch for block in blocks] == [1] + [None] * (len(blocks) - 1)
    assert again.epoch == 2


def test_padding_does_not_count(corpus: EncodedCorpus, small: Small) -> None:
    """For sequences of one, four and nine symbols, padding changes neither loss nor gradient."""
    sequences = Sequences.of([np.asarray(corpus.ids)[:size] for size in (0, 3, 8)])
    lanes, again = (SequenceLanes(sequences, lanes=3, steps=9) for _ in range(2))
    torch.manual_seed(0)
    model = LanguageModel(small().model_config(len(corpus.vocabulary))).train()
    block = again.next()
    logits, _ = model(block.x, model.initial_state(3))
    expected = losses(logits, block.y)[block.y >= 0].mean()
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    trainer = Trainer(model, lanes, small(), precision="fp32")
    result = trainer.advance()
    assert trainer.symbols == int((block.y >= 0).sum()) == 14
    assert result.nats_per_symbol == pytest.approx(float(expected.detach()), rel=1e-6)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert result.gradient_norm == pytest.approx(float(norm), rel=1e-5)


def test_epochs_of_one_block_are_counted(small: Small, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(small(block=100_000))
    assert [trainer.advance().epoch for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("optimiser", "precision"), [("muon", "fp32"), ("adamw", "bf16")])
def test_a_restored_run_continues_exactly(
    layer: str, optimiser: str, precision: str, small: Small, make_trainer: MakeTrainer
) -> None:
    recipe = small(layer=layer, optimiser=optimiser, precision=precision, dropout=0.3, block=300, tied=True)
    uninterrupted = make_trainer(recipe)
    for _ in range(5):
        uninterrupted.advance()
    snapshot = uninterrupted.snapshot()
    resumed = make_trainer(recipe)
    resumed.restore(snapshot)
    torch.set_rng_state(uninterrupted.snapshot().tensors["random"])
    first = [uninterrupted.advance() for _ in range(6)]
    end = uninterrupted.snapshot()
    resumed.restore(snapshot)
    assert [resumed.advance() for _ in range(6)] == first
    assert same(resumed.snapshot(), end)
    assert not same(snapshot, end)


def test_evaluation_does_not_change_the_training(
    corpus: EncodedCorpus, small: Small, make_trainer: MakeTrainer
) -> None:
    recipe = small(dropout=0.3, precision="bf16")
    ends = []
    for evaluates in (False, True):
        trainer = make_trainer(recipe)
        for _ in range(5):
            trainer.advance()
            if evaluates:
                with trainer.evaluated() as model:
                    assert not model.training
                    held_out_loss(model, HeldOut.cut(corpus.ids, [100], 700, 10))
                    torch.rand(5)  # a sampler may draw random numbers
                assert model.training
        ends.append(trainer.snapshot())
    assert same(*ends)


def test_an_exploded_gradient_changes_no_weight(small: Small, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(small(clip=1e-6))
    before = trainer.snapshot()
    assert trainer.advance().gradient_norm >= EXPLODED * 1e-6
    after = trainer.snapshot()
    weights = [name for name in before.tensors if name.startswith("weights/")]
    assert all(after.tensors[name].equal(before.tensors[name]) for name in weights)


def test_a_snapshot_shares_no_memory_with_the_run(small: Small, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(small())
    trainer.advance()
    snapshot = trainer.snapshot()
    kept = {name: value.clone() for name, value in snapshot.tensors.items()}
    trainer.restore(snapshot)
    for _ in range(3):
        trainer.advance()
    assert all(value.equal(kept[name]) for name, value in snapshot.tensors.items())
    assert len(list(tensors_of(trainer.state))) > 0


def tensors(snapshot: Checkpoint, **others: torch.Tensor) -> Checkpoint:
    changed = {name.replace("_", "/"): tensor for name, tensor in others.items()}
    return replace(snapshot, tensors=snapshot.tensors | changed)


def facts(snapshot: Checkpoint, **others: Any) -> Checkpoint:
    return replace(snapshot, facts=snapshot.facts | others)


DAMAGES: dict[str, Callable[[Checkpoint], Checkpoint]] = {
    "a tensor is missing": lambda c: replace(c, tensors={"random": c.tensors["random"]}),
    "a tensor is new": lambda c: tensors(c, weights_new=torch.zeros(1)),
    "another shape": lambda c: tensors(c, state_0=torch.zeros(4, 3)),
    "another type": lambda c: tensors(c, random=torch.zeros(5056)),
    "a fact is missing": lambda c: replace(c, facts={"position": c.facts["position"]}),
    "a fact of another type": lambda c: facts(c, rate_scale="half"),
    "no position": lambda c: facts(c, position={"epoch": 0}),
    "a position beyond the corpus": lambda c: facts(c, position={"epoch": 0, "offset": 10**9}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_snapshot_that_does_not_fit_is_refused(
    damage: str, small: Small, make_trainer: MakeTrainer
) -> None:
    trainer = make_trainer(small())
    trainer.advance()
    damaged: Any = DAMAGES[damage](trainer.snapshot())
    with pytest.raises((ArtefactError, CorpusError), match=r"checkpoint|position in lanes"):
        trainer.restore(damaged)
