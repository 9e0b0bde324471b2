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
from onward.serve.engine.typed_text import CompletionWanted, Edit
from onward.serve.http.errors import ApiError, as_api_error, to_json
from onward.serve.http.fields import Fields, dump, whole
from onward.serve.http.limits import Limits
from onward.serve.http.responses import answer, body_of
from onward.serve.sessions.manager import SessionManager, TypingSession

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
    served = models.named(fields)
    text = fields.text("text", "", longest=limits.text_characters) or ""
    cursor = fields.integer("cursor", len(text), 0, len(text))
    wish, adapts = _wish(fields, CompletionWanted()), fields.flag("adapt")
    made = await sessions.create(served, text, cursor, wish, adapts=adapts)
    return answer(made, 201, {"Location": f"/v1/sessions/{made['id']}"})


class Editing:
    """`POST /v1/sessions/{id}/edit`, as an application of its own: it is asked for with every key."""

    def __init__(self, sessions: SessionManager, limits: Limits) -> None:
        self._sessions, self._limits = sessions, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        body = await body_of(receive, self._limits)  # may take long: the session is looked up after it
        session = await self._sessions.get(scope["path_params"]["id"])
        said = await _edited(self._sessions, session, body, self._limits)
        await answer(said)(scope, receive, send)


async def _show(request: Request, sessions: SessionManager) -> Response:
    """`GET /v1/sessions/{id}`."""
    session = await sessions.get(request.path_params["id"])
    found = await sessions.edit(session)
    return answer(found | {"text": session.text})


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
        return await _edited(sessions, await sessions.get(id_), body, limits)
    except OnwardError as error:
        return to_json(as_api_error(error))


async def _edited(
    sessions: SessionManager, session: TypingSession, body: bytes | str, limits: Limits
) -> dict[str, Any]:
    fields = Fields(body, _EDIT)
    version = fields.integer("version", None, 0, 1 << 62)
    forgets = fields.flag("forget")
    if forgets and not session.adapts:
        fields.refuse("forget", "false: this session does not learn")
    changes = any(fields.values.get(name) is not None for name in ("at", "delete", "insert", "cursor"))
    edit = partial(_edit, fields, limits) if changes else None
    return await sessions.edit(session, edit, partial(_wish, fields), version, forgets=forgets)


def _edit(fields: Fields, limits: Limits, session: TypingSession) -> Edit:
    """The edit of a body, for the text that the session has when its turn has come."""
    size = len(session.text)
    at = fields.integer("at", session.cursor, 0, size)
    delete_ = fields.integer("delete", 0, 0, size - at)
    insert = fields.text("insert", "", longest=limits.text_characters) or ""
    after = size - delete_ + len(insert)
    return Edit(at, delete_, insert, fields.integer("cursor", at + len(insert), 0, after))


def _wish(fields: Fields, before: CompletionWanted) -> CompletionWanted:
    """What a body asks for; for the rest what was asked before."""
    until = whole(fields.values.get("until"))
    if until is None:
        until = before.until
    elif isinstance(until, bool) or not (
        until in ("word", "line") or (isinstance(until, int) and 1 <= until <= 100)
    ):
        fields.refuse("until", 'to be "word", "line" or a number of symbols from 1 to 100')
    return CompletionWanted(
        fields.integer("completions", before.completions, 0, 20),
        until,
        fields.integer("shortest", before.shortest, 1, 100),
        fields.integer("next", before.next, 0, 100),
    )
