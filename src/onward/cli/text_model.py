"""Loads the model of a command that reads or writes text."""

from typing import TYPE_CHECKING

import onward
from onward.errors import ArtefactError

if TYPE_CHECKING:
    from onward.inference.trained_model import TrainedModel


def load_text_model(path: str) -> "TrainedModel":
    """Returns the model in a file.

    Raises:
        ArtefactError: the file cannot be loaded, or is a detector.
    """
    trained = onward.load(path)
    if trained.artefact.watch is not None:
        raise ArtefactError(
            f"{path} is a detector, which models events, not text",
            hint="use it with `onward watch run`, `judge` or `explain`; `onward info` shows what it is",
        )
    return trained
