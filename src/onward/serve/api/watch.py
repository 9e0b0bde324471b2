"""The endpoints of a watch: batches in, alarms out, and what is known of both."""

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onward.errors import OnwardError
from onward.serve.http.errors import ApiError
from onward.serve.http.fields import FIELDS_HINT, Fields, dump
from onward.serve.http.limits import Limits
from onward.serve.http.responses import Events, answer, body_of, unless_gone
from onward.serve.watch.alarm_feed import RECENT
from onward.serve.watch.batches import KINDS, batch_of
from onward.serve.watch.registry import DetectorRegistry
from onward.serve.watch.transactions import LISTED
from onward.serve.watch.worker import DetectorWorker

ENDLESS = "onward.endless"
"""In the scope of a request whose answer does not end by itself, so that a server that stops ends it."""

_BEAT = 5.0
"""Seconds without an alarm after which one who listens hears that there is none."""

_FIELDS = ("model", *KINDS, "idempotency_key", "verdicts", "end")
_LONGEST_NAME = 200


def watch_routes(detectors: DetectorRegistry, limits: Limits) -> list[Route]:
    """All of them."""
    known = {"detectors": detectors}
    post = partial(_feed, limits=limits, **known)
    return [
        Route("/v1/watch", partial(_show, **known), methods=["GET"]),
        Route("/v1/watch", post, methods=["POST"]),
        Route("/v1/watch/alarms", partial(_alarms, limits=limits, **known), methods=["GET"]),
        Route("/v1/watch/alarms/{number}", partial(_explain, **known), methods=["GET"]),
        Route("/v1/watch/alarms/{number}/ok", partial(_forgive, limits=limits, **known), methods=["POST"]),
    ]


async def _show(_: Request, detectors: DetectorRegistry) -> Response:
    """`GET /v1/watch`."""
    return answer({"object": "list", "data": [served.facts for served in detectors]})


async def _feed(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response:
    """`POST /v1/watch`."""
    body = await body_of(request.receive, limits)
    fields = Fields(body, _FIELDS)
    served = detectors.get(fields.text("model", None, longest=_LONGEST_NAME))
    batch = batch_of(body, fields, limits)
    found = await unless_gone(request, served.feed(batch))
    return answer({"model": served.name, **found})


async def _alarms(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response:
    """`GET /v1/watch/alarms`."""
    served = _asked(request, detectors)
    after = _number(request, "after", None, 0, 1 << 53)
    if request.query_params.get("stream") not in (None, "false", "true"):
        raise _invalid("stream", "true or false", request)
    if request.query_params.get("stream") == "true":
        resumed = request.headers.get("last-event-id", "")
        begin = int(resumed) if resumed.isascii() and resumed.isdigit() and len(resumed) < 16 else after
        request.scope[ENDLESS] = True
        return Events(_events(served, begin), limits, served.listener_slot())
    count = _number(request, "limit", 100, 1, RECENT)
    data = await served.alarms(after, count)
    return answer({"object": "list", "model": served.name, "data": data, "last": served.report["last_alarm"]})


async def _events(served: DetectorWorker, after: int | None) -> AsyncIterator[bytes]:
    """Alarms as events with their numbers; beside them the report when it has changed, or a sign of life."""
    begin = served.report["last_alarm"] if after is None else after
    told: bytes | None = None
    with suppress(ApiError):  # too much waits: who listens comes again, and goes on behind the last
        async for alarms in served.follow(begin, _BEAT):
            for alarm in alarms:
                yield b"id: %d\ndata: %s\n\n" % (alarm["alarm"], dump(alarm))
            if served.facts_json != told:
                told = served.facts_json
                yield b"event: report\ndata: %s\n\n" % told
            elif not alarms:
                yield b": nothing new\n\n"


async def _explain(request: Request, detectors: DetectorRegistry) -> Response:
    """`GET /v1/watch/alarms/{number}`."""
    number = _numbered(request)
    return answer(await _asked(request, detectors).explain(number))


async def _forgive(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response:
    """`POST /v1/watch/alarms/{number}/ok`."""
    Fields(await body_of(request.receive, limits), ())
    number = _numbered(request)
    return answer(await _asked(request, detectors).mark_normal(number))


def _asked(request: Request, detectors: DetectorRegistry) -> DetectorWorker:
    return detectors.get(request.query_params.get("model"))


def _numbered(request: Request) -> int:
    """The number of an alarm in the path."""
    number = request.path_params["number"]
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise ApiError(404, "alarm_not_found", f"there is no alarm {number[:40]!r}", hint=LISTED)
    return int(number)


def _number(request: Request, name: str, default: Any, smallest: int, largest: int) -> Any:
    """A whole number of the query."""
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 17 and smallest <= int(value) <= largest):
        raise _invalid(name, f"a whole number from {smallest} to {largest}", request)
    return int(value)


def _invalid(name: str, expected: str, request: Request) -> OnwardError:
    received = request.query_params.get(name, "")[:80]
    message = f"expected {name} to be {expected}, got {received!r}"
    return ApiError(400, "invalid_value", message, param=name, hint=FIELDS_HINT)
