"""Malformed requests, for serve_faults.py: each is made from a number, and is always the same.

A kind of request breaks one thing: a field, the JSON, bytes of the head or body, headers, chunks, the path,
or the frames of a WebSocket. Some requests end early.
"""

import base64
import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from serve_load import request

BODIES: dict[str, tuple[dict[str, Any], ...]] = {
    "/v1/completions": (
        {"prompt": "to be", "max_tokens": 3},
        {"prompt": [[5, 6], [7]], "max_tokens": 1, "logprobs": 2, "echo": True},
        {"prompt": "a", "max_tokens": 4, "stream": True, "n": 2, "stop": ["e"], "best_of": 1},
    ),
    "/v1/score": ({"text": "to be or not", "alternatives": 2},),
    "/v1/novelty": ({"text": "to be or not to be", "minimum": 3, "longest": 2},),
    "/v1/sessions": ({"text": "to be", "completions": 2, "until": "line", "next": 4, "cursor": 2},),
    "/v1/sessions/{session}/edit": ({"insert": "x", "at": 1, "delete": 0}, {"cursor": 1, "version": 0}),
    "/v1/watch": (
        {"lines": ['{"key": "a", "event": "read"}'], "verdicts": True},
        {"records": [{"key": "a", "event": "read", "time": 1e9, "last": True}], "idempotency_key": "one"},
        {"sequences": [{"key": "a", "events": ["start", "stop"]}], "end": True},
    ),
    "/v1/watch/alarms/1/ok": ({},),
}
PATHS = (
    *(
        "/",
        "/watch",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/v1/models/{session}",
        "/v1/watch",
        "/nowhere",
    ),
    *(
        "/v1/sessions/{session}",
        "/v1/sessions/none",
        "/v1/watch/alarms",
        "/v1/watch/alarms/1",
        "/v1/watch/incidents",
        "/v1/watch/activity",
        "/page/page.js",
    ),
)
FIELDS = ("n", "stop", "seed", "cursor", "model", "unknown", "top_k", "records", "logprobs", "adapt")
WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    0,
    1.5,
    1e300,
    10**30,
    -(2**63),
    2**64,
    "",
    "0",
    "\ud800\0",
    "x" * 5000,
    [],
    [[]],
    [None],
    [1e9],
    [-1],
    ["a", 1],
    [[5], "a"],
    {},
    {"a": []},
    {"key": {}},
    [{"key": "a"}],
)
JSON = (
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-0",
        b"1" * 5000,
        b"0." + b"1" * 5000,
        b"01",
        b"1.",
        b"--1",
    ),
    *(
        b'"\\ud800"',
        b'"\\u12"',
        b'"\xff\xfe"',
        b'"\xed\xa0\x80"',
        b'"\x00"',
        b'"' + b"\\" * 99,
        b"'a'",
        b"\xef\xbb\xbf1",
    ),
    *(
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 900 + b"]" * 900,
        b'[{"":' * 300 + b"1" + b"}]" * 300,
        b"nul",
        b"",
    ),
)
HEADERS = (
    *(
        b"Content-Length: -5",
        b"Content-Length: 5, 6",
        b"Content-Length: 1e3",
        b"Content-Length: 99999999999999999999",
    ),
    *(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity, chunked",
        b"Expect: 100-continue",
        b"Host: evil",
    ),
    *(
        b"X: " + b"y" * 40_000,
        b"X\x00: 1",
        b"X : 1",
        b": 1",
        b" folded",
        b"Origin: null",
        b"Origin: \xff://a",
    ),
    b"Sec-Fetch-Site: cross-site",
    b"Connection: upgrade",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Authorization: Bearer \xff",
    b"Last-Event-ID: 9e9",
    b"Range: bytes=0-",
    b"Accept: \xff;version=x",
)
CHUNKS = (
    *(
        b"5\r\nhello\r\n0\r\n\r\n",
        b"-1\r\nx\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nx",
        b"7fffffffffffffff\r\nx",
        b"zz\r\n",
    ),
    *(
        b"0\r\n\r\n",
        b"1\r\n",
        b"5;" + b"e" * 20_000 + b"\r\nhello",
        b"2\r\n{}0\r\n\r\n",
        b"\r\n",
        b"0\r\nX: y\r\n\r\n",
    ),
)
TARGETS = (
    *(
        "/%00",
        "/%ff",
        "/..",
        "/page/../../etc/passwd",
        "/page/%2e%2e/server.py",
        "//",
        "/?",
        "*",
        "http://evil/",
    ),
    *(
        "/v1/sessions/%0a/edit",
        "/v1/sessions//ws",
        "/v1/models/" + "x" * 5000,
        "/v1/watch/alarms/1e9",
        "/\u00e9",
    ),
    *(
        "/v1/watch/alarms/" + "9" * 400,
        "/v1/watch/alarms?after=-1",
        "/v1/watch/alarms?limit=99999999999999999999",
    ),
    "/v1/watch/alarms?after=%00&limit=x",
    "/v1/watch?model=" + "a" * 3000,
    "/v1/watch/alarms?stream=maybe",
    "/v1/watch/incidents?after=-1&limit=1e9",
)
FRAMES = (
    *(
        b"",
        b"{}",
        b"nul",
        b"\xff\xfe",
        b'{"insert": 1}',
        b'{"insert": "x", "at": 99999}',
        b'{"version": 7}',
        b"[" * 9000,
    ),
    *(
        b'{"insert": "\\ud800"}',
        b'{"cursor": -1}',
        b'{"forget": true}',
        b'{"completions": 21}',
        b"\x00" * 70_000,
    ),
)


class Attempt(NamedTuple):
    """A malformed request.

    Attributes:
        raw: its bytes.
        is_cut: whether the client leaves before the answer.
        is_slow: whether the first bytes come one by one.
    """

    raw: bytes
    is_cut: bool = False
    is_slow: bool = False


def attempt(number: int, session: str) -> Attempt:
    """Returns the malformed request of a number; `session` is the id of a session."""
    rng = random.Random(number)
    raw, ending = rng.choice(KINDS)(rng, session), rng.random()
    if ending < 0.06:
        return Attempt(raw[: rng.randrange(len(raw) + 1)], is_cut=True)
    if ending < 0.07:
        return Attempt(raw[:40], is_cut=True, is_slow=True)
    return Attempt(raw, is_cut=ending < 0.09)


def _whole(rng: random.Random, session: str) -> tuple[str, dict[str, Any]]:
    """Returns the path and the body of a request that is right."""
    path = rng.choice([*BODIES])
    return path.replace("{session}", session), dict(rng.choice(BODIES[path]))


def _field(rng: random.Random, session: str) -> bytes:
    path, body = _whole(rng, session)
    for _ in range(rng.choice((1, 1, 2, 5))):
        names = [
            *body,
            "n",
            "stop",
            "seed",
            "cursor",
            "model",
            "unknown",
            "top_k",
            "records",
            "logprobs",
            "adapt",
        ]
        body[rng.choice(names)] = rng.choice(WRONG)
    return request(path, body)


def _inner_field(rng: random.Random, session: str) -> bytes:
    items: dict[str, dict[str, Any]] = {"records": {"key": "a", "event": "b"}, "sequences": {"events": ["a"]}}
    kind = rng.choice([*items])
    item = dict(items[kind]) | {
        rng.choice(("key", "event", "events", "time", "last", "other")): rng.choice(WRONG)
    }
    return request("/v1/watch", {kind: [item, rng.choice(WRONG), item], "verdicts": True})


def _json(rng: random.Random, session: str) -> bytes:
    """JSON that is broken, or that Python would write differently: duplicate names, NaN, broken UTF-8."""
    path, body = _whole(rng, session)
    name = rng.choice([*body, "prompt", "text"]).encode()
    whole = json.dumps(body).encode()
    value = rng.choice(JSON)
    text = rng.choice(
        (value, whole[:-1] + b', "%b": %b}' % (name, value), b'{"%b": %b}' % (name, value), whole * 2)
    )
    return _post(path, text)


def _bytes_of_body(rng: random.Random, session: str) -> bytes:
    raw = bytearray(request(*_whole(rng, session)))
    at = raw.index(b"\r\n\r\n") + 4
    for _ in range(rng.randint(1, 6)):
        raw[rng.randrange(at, len(raw))] = rng.randrange(256)
    return bytes(raw)


def _bytes_of_head(rng: random.Random, session: str) -> bytes:
    raw = bytearray(request(*_whole(rng, session)))
    for _ in range(rng.randint(1, 4)):
        raw[rng.randrange(raw.index(b"\r\n\r\n"))] = rng.randrange(256)
    return bytes(raw) + b"\r\n\r\n"


def _header(rng: random.Random, session: str) -> bytes:
    raw, header = request(*_whole(rng, session)), rng.choice(HEADERS)
    return raw.replace(b"Host: localhost", b"Host: localhost\r\n" + header, 1)


def _chunks(rng: random.Random, session: str) -> bytes:
    path, body = _whole(rng, session)
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
    whole = json.dumps(body).encode()
    right = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (whole[:5], whole[5:]))
    return head + rng.choice((b"", right, right[:9])) + b"".join(rng.choices(CHUNKS, k=rng.randint(1, 3)))


def _target(rng: random.Random, session: str) -> bytes:
    target = rng.choice((*TARGETS, *PATHS)).replace("{session}", session).encode()
    method = rng.choice(
        (b"GET", b"HEAD", b"POST", b"DELETE", b"PUT", b"OPTIONS", b"PATCH", b"TRACE", b"get", b"\xff")
    )
    if method == b"DELETE":
        target = target.replace(session.encode(), b"s-other")  # the session is still needed
    return b"%b %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (method, target)


def _noise(rng: random.Random, session: str) -> bytes:
    return rng.randbytes(rng.randint(1, 400)) + b"\r\n\r\n"


def _socket(rng: random.Random, session: str) -> bytes:
    """A WebSocket and its frames (RFC 6455), some with wrong headers."""
    key = base64.b64encode(rng.randbytes(16))
    head = (
        b"GET /v1/sessions/%b/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
    ) % (rng.choice((session, "none", "\u00e9")).encode(), key)
    return head + b"".join(_frame(rng) for _ in range(rng.randint(1, 5))) + _close(rng)


def _frame(rng: random.Random) -> bytes:
    payload, opcode = rng.choice(FRAMES), rng.choice((0x81, 0x81, 0x82, 0x01, 0x80, 0x89, 0x83, 0x8B, 0xF1))
    size = rng.choice((len(payload), len(payload), len(payload), 2**62, len(payload) // 2))
    masked = 0x80 if rng.random() < 0.9 else 0
    if size < 126:
        head = bytes([opcode, masked | size])
    elif size < 1 << 16:
        head = bytes([opcode, masked | 126]) + struct.pack(">H", size)
    else:
        head = bytes([opcode, masked | 127]) + struct.pack(">Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload  # a mask of zeros changes nothing


def _close(rng: random.Random) -> bytes:
    code = rng.choice((1000, 1001, 0, 999, 1005, 65535))
    return b"\x88\x82\0\0\0\0" + struct.pack(">H", code)


def _post(path: str, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body))
    return head + body


KINDS: Sequence[Callable[[random.Random, str], bytes]] = (
    _field,
    _inner_field,
    _json,
    _bytes_of_body,
    _bytes_of_head,
    _header,
    _chunks,
    _target,
    _noise,
    _socket,
)
