"""The operations on models: list them, complete with them, and score texts with them."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onward.serve.api import scoring
from onward.serve.api.answer_size import AnswerSizes
from onward.serve.api.completions import complete
from onward.serve.api.operation import Operation
from onward.serve.api.requests import CompletionRequest, NoveltyRequest, ScoreRequest
from onward.serve.api.responses import Completion, Curve, ModelFacts, ModelList, NoveltyReport, Score
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
    sized = limited | {"sizes": AnswerSizes(limits)}
    return [
        Operation(
            method="GET",
            path="/v1/models",
            id="listModels",
            summary="List the models.",
            handler=partial(_list, **known),
            response=ModelList,
        ),
        Operation(
            method="GET",
            path="/v1/models/{id}",
            id="getModel",
            summary="Describe a model.",
            handler=partial(_show, novelty=bool(corpus), **known),
            path_parameters=_MODEL_ID,
            response=ModelFacts,
            errors=(404,),
        ),
        Operation(
            method="GET",
            path="/v1/models/{id}/curve",
            id="getTrainingCurve",
            summary="Return the losses of a model's training run.",
            handler=partial(_curve, **limited),
            path_parameters=_MODEL_ID,
            response=Curve,
            errors=(404,),
        ),
        Operation(
            method="POST",
            path="/v1/completions",
            id="createCompletion",
            summary="Continue a text.",
            handler=partial(complete, **sized),
            body=CompletionRequest,
            response=Completion,
            errors=(404,),
            streams=True,
        ),
        Operation(
            method="POST",
            path="/v1/score",
            id="scoreText",
            summary="Compute the surprise of each symbol of a text.",
            handler=partial(scoring.score, **sized),
            body=ScoreRequest,
            response=Score,
            errors=(404,),
        ),
        Operation(
            method="POST",
            path="/v1/novelty",
            id="findNovelty",
            summary="Find the spans of a text that are in the corpus word for word.",
            handler=partial(scoring.novelty, corpus=corpus, searches=searches, **limited),
            body=NoveltyRequest,
            response=NoveltyReport,
            errors=(404,),
        ),
    ]


async def _list(_: Request, models: ModelRegistry) -> Response:
    return json_response({"object": "list", "data": [entry(served) for served in models]})


async def _show(request: Request, models: ModelRegistry, *, novelty: bool) -> Response:
    return json_response(facts(models.get(request.path_params["id"])) | {"novelty": novelty})


async def _curve(request: Request, models: ModelRegistry, limits: Limits) -> Response | LargeJson:
    served = models.get(request.path_params["id"])
    found = await asyncio.to_thread(curve, served)  # the log of a long run is large
    lists = {name: found[name] for name in ("training", "validation")}
    parts = dump_members(found | {name: dump_items(points) for name, points in lists.items()})
    return json_of_parts(parts, sum(map(len, lists.values())), limits)
