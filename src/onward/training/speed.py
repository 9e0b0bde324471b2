"""The speed of training on this machine."""

from onward.training.trainer import Trainer

PRECISIONS = ("fp32", "bf16")
OPTIMISER_COST = 1.25
"""Duration of a step of the default recipe, as a multiple of a block's forward and backward pass."""

_TIMES = 3


def seconds_of_block(trainer: Trainer) -> dict[str, float]:
    """Returns the seconds of a block's forward and backward pass, by precision, without changing the run.

    Only the recipe's precision is timed; for "auto", both are.
    """
    asked = trainer.recipe.precision
    precisions = PRECISIONS if asked == "auto" else (asked,)
    position, block = trainer.lanes.position, trainer.lanes.next()
    trainer.lanes.move(position)
    times: dict[str, list[float]] = {precision: [] for precision in precisions}
    for _ in range(_TIMES):
        for precision, seconds in times.items():
            seconds.append(trainer.seconds_of_block(block, precision))
    return {precision: min(seconds) for precision, seconds in times.items()}
