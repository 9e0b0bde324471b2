"""The operations on typing sessions, over HTTP and over a WebSocket."""

import asyncio
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from onward.errors import OnwardError
from onward.serve.api.operation import Operation, operation
from onward.serve.api.requests import EditRequest, SessionRequest
from onward.serve.api.responses import SessionAnswer, SessionState
from onward.serve.engine.registry import ModelRegistry
from onward.serve.http.clients import client_of
from onward.serve.http.errors import ApiError, as_api_error, invalid_value, to_json
from onward.serve.http.json_text import dump
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.http.responses import error_response, json_response, read_body, until_client_leaves
from onward.serve.http.slots import Slots
from onward.serve.http.validation import parsed
from onward.serve.sessions.document import Document, DocumentChange
from onward.serve.sessions.follower import Watch
from onward.serve.sessions.manager import SessionManager
from onward.serve.sessions.typing_session import TypingSession

_SESSION_ID = {"id": "Id of a session."}
_SOCKET_PATH = "/v1/sessions/{id}/ws"


def session_operations(sessions: SessionManager, models: ModelRegistry, limits: Limits) -> list[Operation]:
    """Returns the operations. Edits come first, since every key that is typed is one."""
    return [
        _edit_operation(EditHandler(sessions, limits)),
        _create.bind(sessions=sessions, models=models, limits=limits),
        _show.bind(sessions=sessions),
        _delete.bind(sessions=sessions),
    ]


def session_socket(sessions: SessionManager, limits: Limits, metrics: Metrics) -> WebSocketRoute:
    """Returns the route of the WebSocket, whose messages are edits."""
    slots = Slots(limits.sockets, "WebSockets are open", shared=True, retry_seconds=5)
    return WebSocketRoute(
        _SOCKET_PATH, partial(_socket, sessions=sessions, limits=limits, metrics=metrics, slots=slots)
    )


class EditHandler:
    """Change the text of a session, and complete it at the cursor.

    An ASGI application, because every key that is typed passes here.
    """

    def __init__(self, sessions: SessionManager, limits: Limits) -> None:
        self._sessions, self._limits = sessions, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, self._limits)  # may take long: the session is looked up afterwards
        session = await self._sessions.get(scope["path_params"]["id"])
        answer = await _edit(session, body, self._limits, partial(until_client_leaves, receive))
        await json_response(answer)(scope, receive, send)


_edit_operation = operation(
    "POST",
    "/v1/sessions/{id}/edit",
    id="editSession",
    path_parameters=_SESSION_ID,
    body=EditRequest,
    response=SessionAnswer,
    errors=(409, 410),
)


@operation(
    "POST", "/v1/sessions", id="createSession", body=SessionRequest, response=SessionAnswer, status=201
)
async def _create(
    request: Request, sessions: SessionManager, models: ModelRegistry, limits: Limits
) -> Response:
    """Start a session for a text that is being typed."""
    asked = await parsed(SessionRequest, await read_body(request.receive, limits), limits)
    served = models.get(asked.model)
    cursor = len(asked.text) if asked.cursor is None else asked.cursor
    if cursor > len(asked.text):
        raise invalid_value("cursor", f"a whole number from 0 to {len(asked.text)}", cursor)
    options = DocumentChange(**asked.options()).options_of(Document())
    document = Document(asked.text, cursor, options=options)
    creation = sessions.create(served, document, learn="both" if asked.adapt else asked.learn)
    made = await until_client_leaves(request.receive, creation)
    return json_response(made.to_json(), 201, {"Location": f"/v1/sessions/{made.id}"})


@operation(
    "GET",
    "/v1/sessions/{id}",
    id="getSession",
    path_parameters=_SESSION_ID,
    response=SessionState,
    errors=(410, 429, 503),
)
async def _show(request: Request, sessions: SessionManager) -> Response:
    """Return the text of a session and its completions."""
    session = await sessions.get(request.path_params["id"])
    answer = await session.edit(DocumentChange(), partial(until_client_leaves, request.receive))
    return json_response(answer.to_json() | {"text": answer.document.text})


@operation(
    "DELETE",
    "/v1/sessions/{id}",
    id="deleteSession",
    path_parameters=_SESSION_ID,
    status=204,
    errors=(410,),
)
async def _delete(request: Request, sessions: SessionManager) -> Response:
    """End a session."""
    await sessions.delete(request.path_params["id"])
    return Response(status_code=204)


async def _socket(
    websocket: WebSocket, sessions: SessionManager, limits: Limits, metrics: Metrics, slots: Slots
) -> None:
    """Answers the messages of a WebSocket in order. Each is counted as a request of method WS."""
    with ExitStack() as during:
        try:
            during.enter_context(slots.take(client_of(websocket.scope)))
        except ApiError as error:
            await websocket.send_denial_response(error_response(error))
            return
        protocols = websocket.scope.get("subprotocols", [])
        await websocket.accept(subprotocol="onward" if "onward" in protocols else None)
        with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            while True:
                async with asyncio.timeout(limits.session_seconds):
                    message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                started = time.perf_counter()
                answer, status = await _answer(websocket.path_params["id"], message, sessions, limits)
                async with asyncio.timeout(limits.send_seconds):
                    await websocket.send_text(dump(answer).decode())
                metrics.requests.labels("WS", _SOCKET_PATH, str(status)).inc()
                metrics.seconds.labels(_SOCKET_PATH).observe(time.perf_counter() - started)


async def _answer(
    id_: str, message: Any, sessions: SessionManager, limits: Limits
) -> tuple[dict[str, Any], int]:
    """Returns the answer to a message, and the status that it would have over HTTP."""
    body = message.get("text") or message.get("bytes") or ""  # uvicorn bounds its size
    try:
        return await _edit(await sessions.get(id_), body, limits), 200
    except OnwardError as error:
        refusal = as_api_error(error)
        return to_json(refusal), refusal.status


async def _edit(
    session: TypingSession, body: bytes | str, limits: Limits, watch: Watch = asyncio.ensure_future
) -> dict[str, Any]:
    asked = await parsed(EditRequest, body, limits)
    return (await session.edit(DocumentChange(**dict(asked)), watch)).to_json()
