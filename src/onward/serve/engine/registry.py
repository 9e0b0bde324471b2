"""The models that a server serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from onward.bases import find_model
from onward.inference.trained_model import TrainedModel
from onward.outputs import log_path
from onward.serve.engine.engine import Engine
from onward.serve.engine.tokens import SymbolNames
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.lookup import Lookup, paths_by_name
from onward.serve.http.metrics import Metrics
from onward.training.log import LoggedEvent, read_log


@dataclass(frozen=True)
class ServedModel:
    """A model and its engine.

    Attributes:
        name: name of its file, without the extension.
        trained: the model.
        names: names of its symbols.
        engine: runs it.
        metrics: the metrics that count its symbols.
        created: when its file was written, in seconds since 1970.
    """

    name: str
    trained: TrainedModel
    names: SymbolNames
    engine: Engine
    metrics: Metrics
    created: int


ModelRegistry: TypeAlias = Lookup[ServedModel]


def load_models(
    paths: Sequence[str | Path], limits: Limits, metrics: Metrics, *, threads: int | None = None
) -> ModelRegistry:
    """Loads models, and makes an engine for each.

    Args:
        paths: paths of the model files.
        limits, metrics, threads: see `Engine`.

    Raises:
        ArtefactError: a file is not a model.
        InputError: two files have the same name.
    """
    served: dict[str, ServedModel] = {}
    for name, path in paths_by_name("models", [*map(Path, paths)]).items():
        trained = TrainedModel.load(path)
        engine = Engine(trained, limits, metrics, threads=threads)
        names, created = SymbolNames(trained.vocabulary), int(find_model(path).stat().st_mtime)
        served[name] = ServedModel(name, trained, names, engine, metrics, created)
    return Lookup("models", served, remedy="serve a model made by `onward train`")


def entry(served: ServedModel) -> dict[str, Any]:
    """Returns the entry of a model in OpenAI's list of models."""
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "onward"}


def facts(served: ServedModel) -> dict[str, Any]:
    """Returns everything about a model except the path of its file."""
    vocabulary, artefact = served.trained.vocabulary, served.trained.artefact
    return entry(served) | {
        "parameters": served.trained.model.parameter_count(),
        "architecture": served.trained.model.config.to_json(),
        "vocabulary": {
            "kind": vocabulary.kind,
            "lower": vocabulary.lower,
            "marks": vocabulary.marks,
            "size": len(vocabulary),
        },
        "recipe": artefact.recipe,
        "facts": artefact.facts,
    }


def curve(served: ServedModel) -> dict[str, Any]:
    """Returns the training and validation losses of a model from the log beside its file.

    Raises:
        ApiError: 404, there is no log, or it cannot be read.
    """
    path = served.trained.path
    series: dict[str, list[dict[str, float]]] = {"training": [], "validation": []}
    for event in _events(log_path(path)) if path else ():
        name = {"stepped": "training", "validated": "validation"}.get(event.event)
        if name and event.nats_per_symbol is not None:
            series[name].append({"step": event.step, "value": event.nats_per_symbol})
    if not any(series.values()):
        message = f"there is no training log in the folder of the model {served.name}"
        hint = "copy the log of `onward train` to the folder of the model"
        raise ApiError(404, "no_curve", message, hint=hint)
    return {"model": served.name, "unit": "nats_per_symbol", **series}


def _events(path: Path) -> list[LoggedEvent]:
    """Returns the events in a log; none if it cannot be read."""
    try:
        return read_log(path)
    except OSError:
        return []
