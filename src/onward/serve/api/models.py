"""The endpoints of the models: which there are, what they write, and what they make of a text."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onward.serve.api import scoring
from onward.serve.api.completions import completions
from onward.serve.engine.registry import ModelRegistry, curve, entry, facts
from onward.serve.http.limits import Limits
from onward.serve.http.responses import answer


def model_routes(models: ModelRegistry, limits: Limits, corpus: Sequence[Path]) -> list[Route]:
    """All of them.

    Args:
        models: that are served.
        limits: of what is asked for.
        corpus: files that novelty looks in.
    """
    known = {"models": models}
    asked = known | {"limits": limits}
    return [
        Route("/v1/models", partial(_list, **known), methods=["GET"]),
        Route("/v1/models/{id}", partial(_show, novelty=bool(corpus), **known), methods=["GET"]),
        Route("/v1/models/{id}/curve", partial(_curve, **known), methods=["GET"]),
        Route("/v1/completions", partial(completions, **asked), methods=["POST"]),
        Route("/v1/score", partial(scoring.score, **asked), methods=["POST"]),
        Route("/v1/novelty", partial(scoring.novelty, corpus=[*corpus], **asked), methods=["POST"]),
    ]


async def _list(_: Request, models: ModelRegistry) -> Response:
    """`GET /v1/models`."""
    return answer({"object": "list", "data": [entry(served) for served in models]})


async def _show(request: Request, models: ModelRegistry, *, novelty: bool) -> Response:
    """`GET /v1/models/{id}`."""
    return answer(facts(models.get(request.path_params["id"])) | {"novelty": novelty})


async def _curve(request: Request, models: ModelRegistry) -> Response:
    """`GET /v1/models/{id}/curve`."""
    return answer(curve(models.get(request.path_params["id"])))
