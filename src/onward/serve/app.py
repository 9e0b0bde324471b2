"""The application: every endpoint, and what is behind it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from onward.artefact import is_detector
from onward.errors import InputError, OnwardError
from onward.serve.api.models import model_routes
from onward.serve.api.openapi import document
from onward.serve.api.sessions import typing_routes
from onward.serve.api.watch import watch_routes
from onward.serve.engine.registry import ModelRegistry, load_models
from onward.serve.http.errors import ApiError, as_api_error
from onward.serve.http.guard import Guard, Policy
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Gauge, Metrics
from onward.serve.http.responses import ClientLeft, answer, refuse
from onward.serve.page import POLICY, assets
from onward.serve.sessions.manager import SessionManager
from onward.serve.sessions.store import SessionStore
from onward.serve.watch.registry import DetectorRegistry
from onward.serve.watch_page import watch_assets
from onward.watch.stream.monitor import IDLE

TIDY_SECONDS, AGE_SECONDS = 5.0, 1.0
_LISTED = "GET /openapi.json lists what there is"
_ELSEWHERE = {
    "/v1/chat/completions": "these models know no chat: send the text as prompt to /v1/completions",
    "/v1/responses": "these models go on with a text: send it as prompt to /v1/completions",
    "/v1/embeddings": "these models give none; /v1/score tells how surprising a text is",
}
"""What OpenAI's clients ask for and a model of ours does not have, with what there is in its place."""

_LOG = logging.getLogger("onward.serve")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What a server serves, and to whom.

    Attributes:
        models: files, of models and of detectors.
        corpus: files that novelty looks in.
        state: the file of the sessions; None: they end with the server. Watches: see `DetectorRegistry`.
        idle: seconds without a record after which a sequence that is watched has ended.
        false_alarms: the rate of all detectors; None: each has its own.
        policy: who may use it.
        limits: what they may ask for.
        threads: of a step of many lanes; None: as many as PyTorch uses.
    """

    models: Sequence[Path]
    corpus: Sequence[Path] = ()
    state: Path | None = None
    idle: float = IDLE
    false_alarms: float | None = None
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None


def make_app(settings: ServerSettings) -> ASGIApp:
    """The application, with its models loaded.

    Raises:
        ArtefactError: a file is not a model.
        InputError: no models, or a file of sessions that is none.
    """
    limits, metrics = settings.limits, Metrics()
    watching = [path for path in settings.models if is_detector(path)]
    writing = [path for path in settings.models if path not in watching]
    if not settings.models:
        raise InputError(
            "expected a model to serve, got none",
            hint="name a file that `onward train` or `onward watch learn` made",
        )
    models = load_models(writing, limits, metrics, threads=settings.threads)
    detectors = DetectorRegistry(
        watching,
        state=settings.state,
        alone=not writing,
        idle=settings.idle,
        rate=settings.false_alarms,
        limits=limits,
    )
    store = SessionStore(settings.state) if settings.state and writing else None
    sessions = SessionManager(models, limits, metrics, store)
    metrics.gauges += [
        Gauge("onward_sessions", "SessionManager that are kept.", lambda: len(sessions)),
        Gauge("onward_sessions_adapting", "Those of them that learn.", lambda: len(sessions.adapting)),
        Gauge("onward_session_megabytes", "What they take.", lambda: sessions.megabytes),
        Gauge("onward_waiting", "Requests in work.", lambda: sum(s.engine.requests for s in models)),
        *detectors.gauges,
    ]

    routes = [
        *_pages(detectors, alone=not writing),
        *watch_routes(detectors, limits),
        *typing_routes(sessions, models, limits),  # the first of which are asked for with every key
        *model_routes(models, limits, [*settings.corpus]),
        *_facts(metrics, limits),
    ]
    handlers: Any = {OnwardError: _refused, HTTPException: _not_found, ClientLeft: _gone, Exception: _failed}
    lifespan = partial(_lifespan, models, detectors, sessions, store)
    return Guard(
        Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers), settings.policy, metrics
    )


@asynccontextmanager
async def _lifespan(
    models: ModelRegistry,
    detectors: DetectorRegistry,
    sessions: SessionManager,
    store: SessionStore | None,
    _: Starlette,
) -> AsyncIterator[None]:
    """Starts what works, and ends it: each also where another fails, the last first."""
    with ExitStack() as ending:
        if store:
            ending.callback(store.close)
        for works in (*(served.engine for served in models), *detectors):
            works.start()
            ending.callback(works.stop)
        chores = [
            _again_and_again(TIDY_SECONDS, sessions.enforce_limits),
            *(_again_and_again(AGE_SECONDS, watch.tick) for watch in detectors),
        ]
        for chore in chores:
            ending.callback(asyncio.create_task(chore).cancel)
        yield


def _facts(metrics: Metrics, limits: Limits) -> list[Route]:
    """What the server says of itself."""

    async def health(_: Request) -> Response:
        return answer({"status": "ok"})

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    async def show_document(_: Request) -> Response:
        return answer(document(limits))

    return [
        Route("/healthz", health, methods=["GET"]),
        Route("/metrics", show_metrics, methods=["GET"]),
        Route("/openapi.json", show_document, methods=["GET"]),
    ]


def _pages(detectors: DetectorRegistry, *, alone: bool) -> list[Route]:
    """The files of the pages, each at its path.

    Args:
        detectors: have a page of their own, if there are any.
        alone: whether there is nothing else, so that "/" leads there.
    """
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}

    def serve(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
        async def send(_: Request) -> Response:
            return Response(content, 200, headers, media_type)

        return send

    async def lead(_: Request) -> Response:
        return RedirectResponse("/watch", headers={"Cache-Control": "no-cache"})

    found = assets() | (watch_assets() if len(detectors) else {})
    first = [Route("/", lead)] if alone else []
    return [*first, *(Route(path, serve(*asset)) for path, asset in found.items())]


async def _again_and_again(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does work every so many seconds, for as long as the server runs; where it fails the next time comes."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except OnwardError as error:  # too much waits, or the disk is full
            _LOG.debug("put off: %s", error)
        except Exception:
            _LOG.exception("what the server does by itself failed")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, OnwardError)
    return refuse(as_api_error(error))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:80]
    known = error.status_code in (404, 405)
    message = f"there is no {request.method} {path}" if known else error.detail
    methods = (error.headers or {}).get("Allow")
    hint = f"ask it with {methods}" if methods else _ELSEWHERE.get(request.url.path, _LISTED)
    code = "not_found" if known else "refused"
    return refuse(ApiError(error.status_code, code, message, hint=hint, headers=error.headers))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _failed(_: Request, error: Exception) -> Response:
    _LOG.error("a request failed", exc_info=error)
    message = "the server failed; its log says why"
    return refuse(ApiError(500, "failed", message, hint="report it, with the traceback that the log has"))
