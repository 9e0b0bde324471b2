"""The command `onward`, with two checkpoints a second, for torchrun."""

from onward.cli import main
from onward.training import checkpointer

checkpointer.SECONDS_BETWEEN_CHECKPOINTS = 0.5
main()
