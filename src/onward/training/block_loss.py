"""The loss of a block, which training minimises."""

from torch import Tensor

from onward.data.lanes import Block
from onward.layers.state import State
from onward.model import LanguageModel, losses
from onward.precision import in_precision


def block_loss(
    model: LanguageModel, block: Block, state: State, precision: str, *, targets: int | None = None
) -> tuple[Tensor, State]:
    """Returns the summed loss of a block, divided by a number of targets, and the state after the block.

    Args:
        model: the model; the block is moved to its device.
        block: the block. Padding does not count.
        state: the state before the block.
        precision: precision of the matrix products, "bf16" or "fp32".
        targets: the number to divide by; by default that of this block, so that the result is its mean loss
            in nats per symbol. For a shard it is the number of targets of the whole block.
    """
    with in_precision(model.device, precision):
        logits, state = model(block.x.to(model.device), state)
    share = block.y.numel() / max(1, count_targets(block) if targets is None else targets)
    return losses(logits, block.y.to(model.device)).mean() * share, state  # exactly 1 without padding


def count_targets(block: Block) -> int:
    """Returns the number of symbols to predict in a block, without padding."""
    return int((block.y >= 0).sum())
