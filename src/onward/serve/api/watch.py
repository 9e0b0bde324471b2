"""The operations on detectors: read records, return alarms and incidents, explain and mark them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from onward.serve.api.operation import Operation, operation
from onward.serve.api.requests import AlarmQuery, DetectorQuery, IncidentQuery, NoFields
from onward.serve.api.responses import (
    AlarmExplanation,
    AlarmList,
    BatchReport,
    FeedbackReport,
    IncidentList,
    WatchActivity,
    WatchList,
)
from onward.serve.http.clients import client_of
from onward.serve.http.errors import ApiError
from onward.serve.http.json_text import dump, dump_items, dump_members, in_pieces
from onward.serve.http.limits import Limits
from onward.serve.http.responses import (
    EventStream,
    LargeJson,
    json_of_parts,
    json_response,
    read_body,
    until_client_leaves,
)
from onward.serve.http.validation import parsed, read_query
from onward.serve.watch.alarm_feed import RECENT
from onward.serve.watch.batches import BatchRequest, batch_of
from onward.serve.watch.registry import DetectorRegistry
from onward.serve.watch.transactions import LISTED
from onward.serve.watch.worker import DetectorWorker
from onward.watch.stream.alarms import Alarm

_HEARTBEAT_SECONDS = 5.0
"""Seconds without an event after which a stream sends a comment, to show the client that it still works."""

_ITEM_SIZE = 20
"""Approximate number of values of an alarm, a verdict or an explained event."""

_ALARM_NUMBER = {"number": "Number of an alarm."}


def watch_operations(detectors: DetectorRegistry, limits: Limits) -> list[Operation]:
    """Returns the operations."""
    known = {"detectors": detectors, "limits": limits}
    return [
        _list.bind(detectors=detectors),
        *(each.bind(**known) for each in (_feed, _alarms, _incidents, _activity, _explain, _mark_normal)),
    ]


@operation("GET", "/v1/watch", id="listDetectors", response=WatchList)
async def _list(_: Request, detectors: DetectorRegistry) -> Response:
    """List the detectors with their reports: alarms, rates, drift."""
    return json_response({"object": "list", "data": [served.facts for served in detectors]})


@operation("POST", "/v1/watch", id="watchRecords", body=BatchRequest, response=BatchReport, errors=(409,))
async def _feed(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response | LargeJson:
    """Read a batch of records, and return the alarms that it raises."""
    body = await read_body(request.receive, limits)
    asked = await parsed(BatchRequest, body, limits)
    served = detectors.get(asked.model)
    batch = batch_of(asked, body, limits)
    report = await until_client_leaves(request.receive, served.feed(batch))
    lists = {name: report[name] for name in ("alarms", "verdicts") if report[name]}
    return _listing({"model": served.name, **report}, lists, limits)


@operation(
    "GET",
    "/v1/watch/alarms",
    id="listAlarms",
    query=AlarmQuery,
    response=AlarmList,
    errors=(400, 429),
    streams=True,
)
async def _alarms(
    request: Request, detectors: DetectorRegistry, limits: Limits
) -> Response | LargeJson | EventStream:
    """Return alarms, or stream them as they are raised."""
    asked = read_query(AlarmQuery, request.query_params, limits)
    served = detectors.get(asked.model)
    if asked.stream:
        resumed = request.headers.get("last-event-id", "")
        after = int(resumed) if resumed.isascii() and resumed.isdigit() and len(resumed) < 16 else asked.after
        slot = served.listener_slot(client_of(request.scope))
        return EventStream(_events(served, after), limits, finishes=False, during=slot)
    alarms = await served.alarms(asked.after, asked.limit)
    found = {"object": "list", "model": served.name, "data": [], "last": served.report["last_alarm"]}
    return _listing(found, {"data": [alarm.to_json() for alarm in alarms]}, limits)


@operation(
    "GET",
    "/v1/watch/incidents",
    id="listIncidents",
    query=IncidentQuery,
    response=IncidentList,
    errors=(400, 429),
)
async def _incidents(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response | LargeJson:
    """Return incidents, each with the alarm that opened it."""
    asked = read_query(IncidentQuery, request.query_params, limits)
    served = detectors.get(asked.model)
    found = await served.incidents(asked.after, asked.limit)
    return _listing({"object": "list", "model": served.name, **found}, {"data": found["data"]}, limits)


@operation(
    "GET",
    "/v1/watch/activity",
    id="getActivity",
    query=DetectorQuery,
    response=WatchActivity,
    errors=(400, 429),
)
async def _activity(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response | LargeJson:
    """Return a timeline of surprise and alarms, and how often each event occurred."""
    served = _detector(request, detectors, limits)
    found = await served.activity()
    lists = {name: found[name] for name in ("timeline", "events")}
    return _listing({"object": "watch.activity", "model": served.name, **found}, lists, limits)


def _listing(
    found: Mapping[str, Any], lists: Mapping[str, Sequence[Any]], limits: Limits
) -> Response | LargeJson:
    """Returns a response with lists that may be long."""
    size = _ITEM_SIZE * sum(map(len, lists.values()))
    members = {**found, **{name: dump_items(items) for name, items in lists.items()}}
    return json_of_parts(dump_members(members), size, limits)


async def _events(served: DetectorWorker, after: int | None) -> AsyncIterator[bytes]:
    """Yields alarms with their numbers, and the report whenever it has changed, or else a heartbeat."""
    begin = served.report["last_alarm"] if after is None else after
    reported: bytes | None = None
    with suppress(ApiError):  # the detector is too busy: the client connects again, and resumes
        async for alarms in served.follow(begin, _HEARTBEAT_SECONDS):
            for piece in in_pieces(map(_alarm_event, alarms)) if alarms else ():
                yield piece
                await asyncio.sleep(0)  # other clients have their turn
            if served.facts_json != reported:
                reported = served.facts_json
                yield b"event: report\ndata: %s\n\n" % reported
            elif not alarms:
                yield b": nothing new\n\n"


@lru_cache(RECENT)
def _alarm_event(alarm: Alarm) -> bytes:
    """Returns the event of an alarm, which is made once for all clients that follow the alarms."""
    return b"id: %d\ndata: %s\n\n" % (alarm.number, dump(alarm.to_json()))


@operation(
    "GET",
    "/v1/watch/alarms/{number}",
    id="explainAlarm",
    path_parameters=_ALARM_NUMBER,
    query=DetectorQuery,
    response=AlarmExplanation,
    errors=(429,),
)
async def _explain(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response | LargeJson:
    """Return an alarm with the surprise of each event of its sequence."""
    number = _alarm_number(request)
    served = _detector(request, detectors, limits)
    found = await served.explain(number)
    return _listing(found, {"events": found["events"]}, limits)


@operation(
    "POST",
    "/v1/watch/alarms/{number}/ok",
    id="markAlarmNormal",
    path_parameters=_ALARM_NUMBER,
    query=DetectorQuery,
    body=NoFields,
    response=FeedbackReport,
    errors=(409,),
)
async def _mark_normal(request: Request, detectors: DetectorRegistry, limits: Limits) -> Response:
    """Mark the sequence of an alarm as normal: the detector learns it."""
    await parsed(NoFields, await read_body(request.receive, limits), limits)
    number = _alarm_number(request)
    served = _detector(request, detectors, limits)
    return json_response(await served.mark_normal(number))


def _detector(request: Request, detectors: DetectorRegistry, limits: Limits) -> DetectorWorker:
    return detectors.get(read_query(DetectorQuery, request.query_params, limits).model)


def _alarm_number(request: Request) -> int:
    number = request.path_params["number"]
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise ApiError(404, "alarm_not_found", f"there is no alarm {number[:40]!r}", hint=LISTED)
    return int(number)
