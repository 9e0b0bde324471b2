"""Describes a trained model for pages: its facts, and the losses of its training run."""

from typing import Any

from onward.inference.trained_model import TrainedModel
from onward.outputs import log_path
from onward.training.log import LoggedEvent, read_log


def facts_of(trained: TrainedModel) -> dict[str, Any]:
    """Returns everything about a model except its file, as plain values."""
    vocabulary, artefact = trained.vocabulary, trained.artefact
    return {
        "parameters": trained.model.parameter_count(),
        "architecture": trained.model.config.to_json(),
        "vocabulary": {
            "kind": vocabulary.kind,
            "lower": vocabulary.lower,
            "marks": vocabulary.marks,
            "size": len(vocabulary),
        },
        "recipe": artefact.recipe,
        "facts": artefact.facts,
    }


def curve_of(trained: TrainedModel) -> dict[str, Any] | None:
    """Returns the training and validation losses of a model from the log beside its file.

    Returns:
        The unit, and for `training` and `validation` a list of steps and values; None if there is no log, or
        it cannot be read.
    """
    series: dict[str, list[dict[str, float | int]]] = {"training": [], "validation": []}
    for event in _events(trained):
        name = {"stepped": "training", "validated": "validation"}.get(event.event)
        if name and event.nats_per_symbol is not None:
            series[name].append({"step": event.step, "value": event.nats_per_symbol})
    return {"unit": "nats_per_symbol", **series} if any(series.values()) else None


def _events(trained: TrainedModel) -> list[LoggedEvent]:
    """Returns the events in the log of a model; none if it cannot be read."""
    try:
        return read_log(log_path(trained.path)) if trained.path else []
    except OSError:
        return []
