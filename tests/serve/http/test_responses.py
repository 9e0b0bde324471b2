"""Large responses: their pieces join to the JSON, and they end with their client."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import Message
from tests.serve.loop import run

from onward.serve.http.json_text import PIECE_BYTES, dump_items, dump_members, in_pieces
from onward.serve.http.limits import Limits
from onward.serve.http.responses import HANG_UP, LargeJson


@pytest.mark.parametrize("items", [[], [1], ["a", None, {"b": [0.5]}], ["x" * 1000] * 300])
def test_pieces_join_to_the_json(items: list[Any]) -> None:
    members = {"first": 1, "items": dump_items(items), "last": dump_members({"empty": dump_items([])})}
    pieces = [*in_pieces(dump_members(members))]
    assert json.loads(b"".join(pieces)) == {"first": 1, "items": items, "last": {"empty": []}}
    assert all(PIECE_BYTES <= len(piece) < PIECE_BYTES + 2000 for piece in pieces[:-1])
    assert json.loads(b"".join(dump_members({}))) == {}


class Connection:
    """A client of a response, which stops reading after some messages, or leaves.

    Attributes:
        sent: what it got.
        ended: how the response ended: "held" is the block around it, "closed" its connection.
    """

    def __init__(self, *, reads: int, leaves: bool) -> None:
        self.sent: list[Message] = []
        self.ended: list[str] = []
        self._reads, self._leaves = reads, leaves
        self._gone = asyncio.Event()

    async def answer(self, parts: Iterator[bytes], limits: Limits) -> None:
        scope = {"type": "http", "headers": [], HANG_UP: self._close}
        response = LargeJson(parts, limits, during=self._held())
        async with asyncio.timeout(5):
            await response(scope, self._receive, self._send)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if len(self.sent) == self._reads:
            if self._leaves:
                self._gone.set()
            await asyncio.sleep(60)

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def _close(self) -> None:
        self.ended.append("closed")
        self._gone.set()

    @contextmanager
    def _held(self) -> Iterator[None]:
        yield
        self.ended.append("held")


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * PIECE_BYTES


def test_a_response_is_sent_as_its_client_reads_it() -> None:
    async def work() -> None:
        client = Connection(reads=0, leaves=False)
        items = ["x" * PIECE_BYTES] * 3
        await client.answer(dump_items(items), Limits())
        assert json.loads(b"".join(each.get("body", b"") for each in client.sent)) == items
        assert [each.get("more_body") for each in client.sent] == [None, True, True, True, True, None]
        assert client.ended == ["held"]

    run(work())


@pytest.mark.parametrize(
    ("leaves", "limits", "ended"),
    [(True, Limits(), ["held"]), (False, Limits(send_seconds=0.05), ["closed", "held"])],
)
def test_a_response_ends_if_its_client_leaves_or_does_not_read(
    leaves: bool, limits: Limits, ended: list[str]
) -> None:
    async def work() -> None:
        client = Connection(reads=4, leaves=leaves)
        await client.answer(endless(), limits)
        assert len(client.sent) == 4
        assert client.ended == ended

    run(work())
