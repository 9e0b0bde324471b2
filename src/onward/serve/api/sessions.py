"""The endpoints of typing sessions, over HTTP and over a WebSocket."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from onward.errors import OnwardError
from onward.serve.engine.registry import ModelRegistry
from onward.serve.http.errors import ApiError, as_api_error, to_json
from onward.serve.http.fields import Fields, dump, whole
from onward.serve.http.limits import Limits
from onward.serve.http.lookup import LONGEST_NAME
from onward.serve.http.responses import answer, body_of
from onward.serve.sessions.document import Document, DocumentChange
from onward.serve.sessions.manager import SessionManager
from onward.serve.sessions.typing_session import TypingSession

_WISHES = ("completions", "until", "shortest", "next")
_NEW = ("model", "text", "cursor", "adapt", *_WISHES)
_EDIT = ("at", "delete", "insert", "cursor", "version", "forget", *_WISHES)


def typing_routes(sessions: SessionManager, models: ModelRegistry, limits: Limits) -> list[BaseRoute]:
    """All of them; the first one is asked for with every key."""
    known = {"sessions": sessions}
    create = partial(_create, models=models, limits=limits, **known)
    return [
        Route("/v1/sessions/{id}/edit", Editing(sessions, limits), methods=["POST"]),
        Route("/v1/sessions", create, methods=["POST"]),
        Route("/v1/sessions/{id}", partial(_show, **known), methods=["GET"]),
        Route("/v1/sessions/{id}", partial(_delete, **known), methods=["DELETE"]),
        WebSocketRoute("/v1/sessions/{id}/ws", partial(_socket, limits=limits, **known)),
    ]


async def _create(
    request: Request, sessions: SessionManager, models: ModelRegistry, limits: Limits
) -> Response:
    """`POST /v1/sessions`."""
    fields = Fields(await body_of(request.receive, limits), _NEW)
    served = models.get(fields.text("model", None, longest=LONGEST_NAME))
    text = fields.text("text", "", longest=limits.text_characters) or ""
    cursor = fields.integer("cursor", len(text), 0, len(text))
    document = Document(text, cursor, options=DocumentChange(**_options(fields)).options_of(Document()))
    made = await sessions.create(served, document, adapts=fields.flag("adapt"))
    return answer(made.to_json(), 201, {"Location": f"/v1/sessions/{made.id}"})


class Editing:
    """`POST /v1/sessions/{id}/edit`, as an application of its own: it is asked for with every key."""

    def __init__(self, sessions: SessionManager, limits: Limits) -> None:
        self._sessions, self._limits = sessions, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        body = await body_of(receive, self._limits)  # may take long: the session is looked up after it
        session = await self._sessions.get(scope["path_params"]["id"])
        said = await _edited(session, body, self._limits)
        await answer(said)(scope, receive, send)


async def _show(request: Request, sessions: SessionManager) -> Response:
    """`GET /v1/sessions/{id}`."""
    session = await sessions.get(request.path_params["id"])
    found = await session.edit(DocumentChange())
    return answer(found.to_json() | {"text": found.document.text})


async def _delete(request: Request, sessions: SessionManager) -> Response:
    """`DELETE /v1/sessions/{id}`."""
    await sessions.delete(request.path_params["id"])
    return Response(status_code=204)


async def _socket(websocket: WebSocket, sessions: SessionManager, limits: Limits) -> None:
    """`WS /v1/sessions/{id}/ws`: messages are answered in order; those that wait are known to the newest."""
    protocols = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol="onward" if "onward" in protocols else None)
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        while True:
            async with asyncio.timeout(limits.session_seconds):
                message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            reply = await _reply(websocket.path_params["id"], message, sessions, limits)
            async with asyncio.timeout(limits.send_seconds):
                await websocket.send_text(dump(reply).decode())


async def _reply(id_: str, message: Any, sessions: SessionManager, limits: Limits) -> dict[str, Any]:
    """The answer to a message."""
    body = message.get("text") or message.get("bytes") or ""
    try:
        if len(body) > limits.body_bytes:
            raise ApiError(
                413,
                "too_large",
                f"expected a message of at most {limits.body_bytes} bytes",
                hint="insert it in parts",
            )
        return await _edited(await sessions.get(id_), body, limits)
    except OnwardError as error:
        return to_json(as_api_error(error))


async def _edited(session: TypingSession, body: bytes | str, limits: Limits) -> dict[str, Any]:
    fields = Fields(body, _EDIT)
    largest = limits.text_characters
    change = DocumentChange(
        at=fields.integer("at", None, 0, 1 << 62),
        delete=fields.integer("delete", None, 0, 1 << 62),
        insert=fields.text("insert", longest=largest),
        cursor=fields.integer("cursor", None, 0, 1 << 62),
        version=fields.integer("version", None, 0, 1 << 62),
        forget=fields.flag("forget"),
        **_options(fields),
    )
    return (await session.edit(change)).to_json()


def _options(fields: Fields) -> dict[str, Any]:
    """The options of a body; None for those that keep their value."""
    until = whole(fields.values.get("until"))
    if until is not None and (
        isinstance(until, bool)
        or not (until in ("word", "line") or (isinstance(until, int) and 1 <= until <= 100))
    ):
        fields.refuse("until", 'to be "word", "line" or a number of symbols from 1 to 100')
    return {
        "completions": fields.integer("completions", None, 0, 20),
        "until": until,
        "shortest": fields.integer("shortest", None, 1, 100),
        "next": fields.integer("next", None, 0, 100),
    }
