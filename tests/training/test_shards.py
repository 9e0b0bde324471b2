from collections.abc import Callable

import pytest
import torch
from tests.training.conftest import MakeTrainer, Small

from onward.data.encoded import EncodedCorpus
from onward.data.lanes import PADDING, Lanes
from onward.errors import RecipeError
from onward.layers.state import tensors_of
from onward.model import LanguageModel
from onward.training.shards import add_in_tree
from onward.training.trainer import Trainer


def test_parts_are_added_in_a_tree() -> None:
    """1e8 + 1 is 1e8 in float32, so the order of the additions shows in the sum."""
    values = [1e8, 1.0, -1e8, 1.0, 1e8, 1.0, 1.0, 1.0]
    (total,) = add_in_tree(lambda number: [torch.tensor([values[number]])], range(8))
    numbers = [torch.tensor(value) for value in values]
    a, b, c, d, e, f, g, h = numbers
    assert float(total) == float(((a + b) + (c + d)) + ((e + f) + (g + h)))
    assert float(total) != sum(values)


def test_a_subtree_is_a_part_of_the_tree() -> None:
    parts = torch.randn(8, 50, generator=torch.Generator().manual_seed(0))
    part: Callable[[int], list[torch.Tensor]] = lambda number: [parts[number].clone()]  # noqa: E731
    (whole,) = add_in_tree(part, range(8))
    for processes in (2, 4):
        each = 8 // processes
        sums = [add_in_tree(part, range(i * each, (i + 1) * each)) for i in range(processes)]
        (total,) = add_in_tree(lambda number, sums=sums: sums[number], range(processes))
        assert total.equal(whole)


@pytest.mark.parametrize("layer", ["gated", "lstm"])
def test_shards_give_the_gradients_of_the_whole_block(
    layer: str, small: Small, make_trainer: MakeTrainer
) -> None:
    whole, sharded = (make_trainer(small(layer=layer, shards=shards, lanes=8)) for shards in (1, 4))
    for _ in range(3):
        expected, result = whole.advance(), sharded.advance()
        assert result.nats_per_symbol == pytest.approx(expected.nats_per_symbol, rel=1e-5)
        assert result.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-4)
    for one, other in zip(tensors_of(whole.state), tensors_of(sharded.state), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


def test_padding_counts_in_no_shard(corpus: EncodedCorpus, small: Small) -> None:
    """Shifted lanes have padding in some shards only, and the loss is still the mean over all targets."""
    results = []
    for shards in (1, 4):
        recipe = small(shards=shards, rate=0.0, muon_rate=0.0, lanes=4)
        torch.manual_seed(recipe.seed)
        lanes = Lanes(corpus.ids[:403], lanes=4, steps=16, shifted=True)
        padding = [int((lanes.next().y == PADDING).sum()) for _ in range(21)]
        assert sum(padding) == 2  # in the second and in the third epoch
        lanes.move({"epoch": 0, "offset": 0})
        model = LanguageModel(recipe.model_config(len(corpus.vocabulary))).train()
        trainer = Trainer(model, lanes, recipe, precision="fp32")
        results.append([trainer.advance() for _ in range(21)])
    for one, other in zip(*results, strict=True):
        assert one.nats_per_symbol == pytest.approx(other.nats_per_symbol, rel=1e-5)


def test_each_shard_and_step_has_its_own_dropout(small: Small, make_trainer: MakeTrainer) -> None:
    recipe = small(shards=2, lanes=4, dropout=0.5, rate=0.0, muon_rate=0.0)
    one, other = make_trainer(recipe), make_trainer(recipe)
    losses = [one.advance().nats_per_symbol for _ in range(4)]
    torch.rand(3)  # the state of torch's generator does not matter
    assert [other.advance().nats_per_symbol for _ in range(4)] == losses
    changed = make_trainer(small(shards=2, lanes=4, dropout=0.5, rate=0.0, muon_rate=0.0, seed=0))
    changed.step = 100
    assert changed.advance().nats_per_symbol != losses[0]


@pytest.mark.parametrize("shards", [3, 6])
def test_the_number_of_shards_is_a_power_of_two(shards: int, small: Small) -> None:
    with pytest.raises(RecipeError, match=f"shards must be a power of two, such as 4 or 8, got {shards}"):
        small(shards=shards)


def test_lanes_that_do_not_fill_the_shards_are_refused(small: Small, make_trainer: MakeTrainer) -> None:
    with pytest.raises(RecipeError, match=r"a multiple of 4 lanes, .* 4 shards, got 6"):
        make_trainer(small(shards=4, lanes=6))
