"""The operations on models: list them, complete with them, and score texts with them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onward.serve.api import scoring
from onward.serve.api.completions import complete
from onward.serve.api.operation import Operation
from onward.serve.api.requests import CompletionRequest, NoveltyRequest, ScoreRequest
from onward.serve.api.responses import (
    CompletionResponse,
    Curve,
    ModelFacts,
    ModelList,
    NoveltyReport,
    ScoreResponse,
)
from onward.serve.engine.registry import ModelRegistry, curve, entry, facts
from onward.serve.http.limits import Limits
from onward.serve.http.responses import json_response

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
            handler=partial(_curve, **known),
            path_parameters=_MODEL_ID,
            response=Curve,
            errors=(404,),
        ),
        Operation(
            method="POST",
            path="/v1/completions",
            id="createCompletion",
            summary="Continue a text.",
            handler=partial(complete, **limited),
            body=CompletionRequest,
            response=CompletionResponse,
            errors=(404,),
            streams=True,
        ),
        Operation(
            method="POST",
            path="/v1/score",
            id="scoreText",
            summary="Compute the surprise of each symbol of a text.",
            handler=partial(scoring.score, **limited),
            body=ScoreRequest,
            response=ScoreResponse,
            errors=(404,),
        ),
        Operation(
            method="POST",
            path="/v1/novelty",
            id="findNovelty",
            summary="Find the spans of a text that are in the corpus word for word.",
            handler=partial(scoring.novelty, corpus=corpus, **limited),
            body=NoveltyRequest,
            response=NoveltyReport,
            errors=(404,),
        ),
    ]


async def _list(_: Request, models: ModelRegistry) -> Response:
    return json_response({"object": "list", "data": [entry(served) for served in models]})


async def _show(request: Request, models: ModelRegistry, *, novelty: bool) -> Response:
    return json_response(facts(models.get(request.path_params["id"])) | {"novelty": novelty})


async def _curve(request: Request, models: ModelRegistry) -> Response:
    return json_response(curve(models.get(request.path_params["id"])))
