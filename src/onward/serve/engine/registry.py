"""The models that a server serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from onward.bases import find_model
from onward.description import curve_of, facts_of
from onward.inference.trained_model import TrainedModel
from onward.serve.engine.engine import Engine
from onward.serve.engine.tokens import SymbolNames
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.lookup import Lookup, paths_by_name
from onward.serve.http.metrics import Metrics


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
    return entry(served) | facts_of(served.trained)


def curve(served: ServedModel) -> dict[str, Any]:
    """Returns the training and validation losses of a model from the log beside its file.

    Raises:
        ApiError: 404, there is no log, or it cannot be read.
    """
    found = curve_of(served.trained)
    if found is None:
        message = f"there is no training log in the folder of the model {served.name}"
        hint = "copy the log of `onward train` to the folder of the model"
        raise ApiError(404, "no_curve", message, hint=hint)
    return {"model": served.name, **found}
