"""The models that are served, by name, and what is told of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.errors import InputError
from onward.inference.trained_model import TrainedModel
from onward.outputs import log_path
from onward.serve.engine.engine import Engine
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics

_LONGEST_NAME = 200


@dataclass(frozen=True)
class ServedModel:
    """A model with its name, its thread, what counts its symbols, and when its file was written (seconds)."""

    name: str
    trained: TrainedModel
    engine: Engine
    metrics: Metrics
    created: int


class ModelRegistry:
    """The models, in the order in which they were named; the first is the default.

    Args:
        paths: of their files.
        limits, metrics, threads: of their engines.

    Raises:
        ArtefactError: a file is not a model.
        InputError: two have one name.
    """

    def __init__(
        self, paths: Sequence[str | Path], limits: Limits, metrics: Metrics, *, threads: int | None = None
    ) -> None:
        self._served: dict[str, ServedModel] = {}
        for path in map(Path, paths):
            trained, name = TrainedModel.load(path), path.stem
            if name in self._served:
                raise InputError(
                    f"expected models of different names, got two of {name!r}",
                    hint="a model's name is that of its file: rename one",
                )
            engine = Engine(trained, limits, metrics, threads=threads)
            self._served[name] = ServedModel(name, trained, engine, metrics, int(path.stat().st_mtime))

    def __iter__(self) -> Iterator[ServedModel]:
        """All of them."""
        return iter(self._served.values())

    def get(self, name: str | None) -> ServedModel:
        """The model of that name; None: the first.

        Raises:
            Refusal: there is none.
        """
        found = next(iter(self), None) if name is None else self._served.get(name)
        if found is None:
            names = ", ".join(self._served) or "that write: there is none"
            message = f"expected one of the models {names}, got {str(name)[:_LONGEST_NAME]!r}"
            hint = "leave model out for the first; GET /v1/models lists them"
            raise ApiError(404, "model_not_found", message, param="model", hint=hint)
        return found


def entry(served: ServedModel) -> dict[str, Any]:
    """A model in OpenAI's list."""
    return {"id": served.name, "object": "model", "created": served.created, "owned_by": "onward"}


def facts(served: ServedModel) -> dict[str, Any]:
    """Everything that is told of a model; where its file lies is not."""
    vocabulary, artefact = served.trained.vocabulary, served.trained.artefact
    return entry(served) | {
        "parameters": served.trained.model.parameter_count(),
        "architecture": served.trained.model.config.to_json(),
        "vocabulary": {"kind": vocabulary.kind, "lower": vocabulary.lower, "size": len(vocabulary)},
        "recipe": artefact.recipe,
        "facts": artefact.facts,
    }


def curve(served: ServedModel) -> dict[str, Any]:
    """The losses of the run that made a model, from the log beside its file.

    Raises:
        Refusal: there is no log, or none that can be read.
    """
    path = served.trained.path
    assert path is not None
    events = _events(log_path(path))
    series: dict[str, list[dict[str, float]]] = {"training": [], "validation": []}
    for event in events:
        name = {"stepped": "training", "validated": "validation"}.get(event.get("event", ""))
        if name and isinstance(event.get("nats_per_symbol"), float) and isinstance(event.get("step"), int):
            series[name].append({"step": event["step"], "value": event["nats_per_symbol"]})
    if not any(series.values()):
        message = f"no training log of {served.name} lies beside its file"
        raise ApiError(
            404, "no_curve", message, hint="put the log that `onward train` wrote beside the model"
        )
    return {"model": served.name, "unit": "nats_per_symbol", **series}


def _events(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; none if there is no log."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        values = [json.loads(line) for line in lines if line.endswith("}")]
    except (OSError, ValueError):
        return []
    return [value for value in values if isinstance(value, dict)]
