"""The application: the operations, the pages, and the models and detectors behind them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from onward.artefact import is_detector
from onward.errors import InputError, OnwardError
from onward.serve.api.models import model_operations
from onward.serve.api.openapi import openapi_document
from onward.serve.api.operation import Operation, operation
from onward.serve.api.responses import Health
from onward.serve.api.sessions import session_operations, session_socket
from onward.serve.api.watch import watch_operations
from onward.serve.engine.registry import ModelRegistry, load_models
from onward.serve.http.errors import ApiError, as_api_error
from onward.serve.http.guard import REQUEST_ID, Policy, guarded
from onward.serve.http.json_text import dump
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.http.responses import ClientLeft, error_response, json_response
from onward.serve.pages import page_routes
from onward.serve.sessions.manager import SessionManager
from onward.serve.sessions.store import SessionStore
from onward.serve.watch.registry import DetectorRegistry, add_detector_metrics, load_detectors
from onward.serve.watch.settings import WatchSettings
from onward.watch.notify.targets import Targets

TIDY_SECONDS, TICK_SECONDS = 5.0, 1.0

_LIST_HINT = "GET /openapi.json lists all operations"
_ALTERNATIVES = {
    "/v1/chat/completions": "these models cannot chat: send the text as prompt to /v1/completions",
    "/v1/responses": "these models continue a text: send it as prompt to /v1/completions",
    "/v1/embeddings": "these models have no embeddings; /v1/score returns the surprise of a text",
    "/watch": "serve a detector made by `onward watch learn`: this page shows its alarms",
}
"""Paths that clients may request but this server does not have, with what to do instead."""

_LOG = logging.getLogger("onward.serve")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Settings of a server: its models and detectors, its users and its limits.

    Attributes:
        models: files of models and of detectors.
        corpus: files that `/v1/novelty` searches.
        state: file that keeps the sessions; None: they end with the server. `registry.state_of` names the
            files of detectors.
        watch: how its detectors watch.
        targets: where the detectors send their notices.
        policy: who may use the server.
        limits: limits of requests.
        threads: threads of a step of many lanes; None: as many as PyTorch uses.
        name: what the ids of sessions begin with, so that a proxy finds their server; "": nothing.
    """

    models: Sequence[Path]
    corpus: Sequence[Path] = ()
    state: Path | None = None
    watch: WatchSettings = field(default_factory=WatchSettings)
    targets: Targets = field(default_factory=Targets)
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    threads: int | None = None
    name: str = ""


def make_app(settings: ServerSettings) -> ASGIApp:
    """Loads the models and detectors, and returns the application.

    Raises:
        ArtefactError: a file is not a model.
        InputError: there are no models, or the state is not a file of sessions.
    """
    limits, metrics = settings.limits, Metrics()
    detector_paths = [path for path in settings.models if is_detector(path)]
    model_paths = [path for path in settings.models if path not in detector_paths]
    if not settings.models:
        raise InputError(
            "expected a model to serve, got none",
            hint="name a file that `onward train` or `onward watch learn` made",
        )
    models = load_models(model_paths, limits, metrics, threads=settings.threads)
    detectors = load_detectors(
        detector_paths,
        state=settings.state,
        alone=not model_paths,
        settings=settings.watch,
        targets=settings.targets,
        limits=limits,
    )
    store = SessionStore(settings.state) if settings.state and model_paths else None
    sessions = SessionManager(models, limits, metrics, store, settings.name)
    _add_gauges(metrics, models, sessions)
    add_detector_metrics(metrics, detectors)

    operations = [
        *session_operations(sessions, models, limits),  # routes are tried in order: the busiest comes first
        *model_operations(models, limits, settings.corpus),
        *watch_operations(detectors, limits),
    ]
    operations += _server_operations(metrics, lambda: openapi_document(operations, limits))
    routes = [
        *(each.route for each in operations),
        session_socket(sessions, limits, metrics),
        *page_routes(writes=bool(model_paths), watches=bool(detector_paths)),
    ]
    handlers: Any = {
        OnwardError: _answer_error,
        HTTPException: _answer_http_error,
        ClientLeft: _answer_nobody,
        Exception: _answer_failure,
    }
    lifespan = partial(_lifespan, models, detectors, sessions, store)
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return guarded(app, settings.policy, metrics)


def _add_gauges(metrics: Metrics, models: ModelRegistry, sessions: SessionManager) -> None:
    metrics.add_gauge("onward_sessions", "Open sessions.", lambda: len(sessions))
    metrics.add_gauge("onward_sessions_adapting", "Sessions that adapt.", lambda: len(sessions.adapting))
    metrics.add_gauge("onward_session_megabytes", "Memory of all sessions.", lambda: sessions.megabytes)
    metrics.add_gauge(
        "onward_waiting",
        "Requests in progress, or waiting for a model.",
        lambda: sum(served.engine.requests for served in models),
    )


@asynccontextmanager
async def _lifespan(
    models: ModelRegistry,
    detectors: DetectorRegistry,
    sessions: SessionManager,
    store: SessionStore | None,
    _: Starlette,
) -> AsyncIterator[None]:
    """Starts the engines and detectors, and stops all of them, even if one fails to stop."""
    with ExitStack() as stack:
        if store:
            stack.callback(store.close)
        for served in models:
            served.engine.start()
            stack.callback(served.engine.stop)
        for detector in detectors:
            stack.callback(detector.stop)
        for seconds, work in (
            (TIDY_SECONDS, sessions.enforce_limits),
            *((TICK_SECONDS, detector.end_idle) for detector in detectors),
        ):
            stack.callback(asyncio.create_task(_repeat(seconds, work)).cancel)
        yield


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does some work every few seconds. After a failure, it is tried again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except OnwardError as error:  # the server is busy, or the disk is full
            _LOG.debug("postponed: %s", error)
        except Exception:
            _LOG.exception("a background task failed")


def _server_operations(metrics: Metrics, document: Callable[[], dict[str, Any]]) -> list[Operation]:
    @operation("GET", "/healthz", id="getHealth", response=Health)
    async def health(_: Request) -> Response:
        """Return ok while the server runs."""
        return json_response({"status": "ok"})

    @operation("GET", "/metrics", id="getMetrics", media_types=("text/plain", "application/openmetrics-text"))
    async def export_metrics(request: Request) -> Response:
        """Export metrics for Prometheus, as text or as OpenMetrics."""
        content, media_type = metrics.export(request.headers.get("accept", ""))
        return Response(content, headers={"Content-Type": media_type})

    @cache
    def encoded() -> bytes:
        return dump(document())

    @operation("GET", "/openapi.json", id="getOpenApi", response=dict[str, Any])
    async def show_document(_: Request) -> Response:
        """Return this description of the API."""
        return Response(encoded(), media_type="application/json")

    return [health, export_metrics, show_document]


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OnwardError)
    return error_response(as_api_error(error))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:80]
    is_unknown = error.status_code in (404, 405)
    message = f"there is no {request.method} {path}" if is_unknown else error.detail
    methods = (error.headers or {}).get("Allow")
    hint = f"use {methods}" if methods else _ALTERNATIVES.get(request.url.path, _LIST_HINT)
    code = "not_found" if is_unknown else "refused"
    return error_response(ApiError(error.status_code, code, message, hint=hint, headers=error.headers))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # the client has left


async def _answer_failure(request: Request, error: Exception) -> Response:
    request_id = request.scope.get(REQUEST_ID, "a request")
    _LOG.error("%s failed", request_id, exc_info=error)
    message = f"the server failed on {request_id}; its log has the traceback"
    return error_response(ApiError(500, "failed", message, hint="report it with the traceback from the log"))
