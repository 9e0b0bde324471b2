"""The operations on models: list them, complete with them, and score texts with them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onward.serve.api import scoring
from onward.serve.api.answer_size import AnswerSizes
from onward.serve.api.completions import complete
from onward.serve.api.infill import infill
from onward.serve.api.operation import Operation, operation
from onward.serve.api.responses import Curve, ModelFacts, ModelList
from onward.serve.engine.registry import ModelRegistry, curve, entry, facts
from onward.serve.http.json_text import dump_items, dump_members
from onward.serve.http.limits import Limits
from onward.serve.http.responses import LargeJson, json_of_parts, json_response
from onward.serve.http.slots import Slots

_MODEL_ID = {"id": "Id of a model."}


def model_operations(models: ModelRegistry, limits: Limits, corpus: Sequence[Path]) -> list[Operation]:
    """Returns the operations.

    Args:
        models: the models that are served.
        limits: limits of requests.
        corpus: files that `/v1/novelty` searches.
    """
    known = {"models": models}
    limited = known | {"limits": limits}
    searches = Slots(limits.searches, "searches are in progress", shared=True)
    learning = Slots(limits.adapting, "texts are read by models that learn", shared=True)
    sized = limited | {"sizes": AnswerSizes(limits)}
    return [
        _list.bind(**known),
        _show.bind(**known, novelty=bool(corpus)),
        _curve.bind(**limited),
        complete.bind(**sized, learning=learning),
        infill.bind(**limited),
        scoring.score.bind(**sized, learning=learning),
        scoring.novelty.bind(**limited, corpus=corpus, searches=searches),
    ]


@operation("GET", "/v1/models", id="listModels", response=ModelList)
async def _list(_: Request, models: ModelRegistry) -> Response:
    """List the models."""
    return json_response({"object": "list", "data": [entry(served) for served in models]})


@operation("GET", "/v1/models/{id}", id="getModel", path_parameters=_MODEL_ID, response=ModelFacts)
async def _show(request: Request, models: ModelRegistry, *, novelty: bool) -> Response:
    """Describe a model."""
    return json_response(facts(models.get(request.path_params["id"])) | {"novelty": novelty})


@operation("GET", "/v1/models/{id}/curve", id="getTrainingCurve", path_parameters=_MODEL_ID, response=Curve)
async def _curve(request: Request, models: ModelRegistry, limits: Limits) -> Response | LargeJson:
    """Return the losses of a model's training run."""
    served = models.get(request.path_params["id"])
    found = await asyncio.to_thread(curve, served)  # the log of a long run is large
    lists = {name: found[name] for name in ("training", "validation")}
    parts = dump_members(found | {name: dump_items(points) for name, points in lists.items()})
    return json_of_parts(parts, sum(map(len, lists.values())), limits)
