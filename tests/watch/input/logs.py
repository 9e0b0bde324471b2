"""Logs of one service in many formats: interleaved sessions of four or three events."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

BEGAN = datetime(2026, 11, 1, 10, tzinfo=UTC)
SESSIONS = 60

_MESSAGES = {
    "open": "Session opened for user u{0}",
    "read": "Read {0} bytes from disk",
    "write": "Wrote block of {0} bytes",
    "close": "Session closed after {0} ms",
}


def events() -> Iterator[tuple[datetime, int, str, str]]:
    """Yields the time, session, kind and message of each event, in order of time."""
    chance = random.Random(1)
    found = [
        (BEGAN + timedelta(seconds=5 * session + 4 * place + chance.random()), session, kind)
        for session in range(SESSIONS)
        for place, kind in enumerate(
            ["open", "read", "read", "close"] if session % 3 else ["open", "write", "close"]
        )
    ]
    for moment, session, kind in sorted(found):
        yield moment, session, kind, _MESSAGES[kind].format(chance.randrange(10_000))


def _json(**fields: object) -> str:
    return json.dumps(fields)


def lines_of(name: str) -> list[str]:
    """Returns the lines of the log in a format."""
    head = {"csv": ["session;action;when"], "windows": ["Level,Date and Time,Source,Event ID"]}
    head["iis"] = ["#Software: IIS", "#Fields: time cs-method cs-uri-stem sc-status sc-session"]
    found = head.get(name, [])
    for t, i, kind, text in events():
        iso, clock = f"{t:%Y-%m-%dT%H:%M:%S}.{t.microsecond:06}Z", f"{t:%H:%M:%S}"
        request = f'"{"POST" if kind == "write" else "GET"} /{kind}/{i} HTTP/1.1" 200 {i * 7}'
        found.append(
            {
                "syslog": f"{t:%b} {t.day:2} {clock} host1 api[{1000 + i}]: {text}",
                "rfc5424": f"<165>1 {iso} host1 api {1000 + i} ID47 - {text}",
                "rfc5424 data": f'<165>1 {iso} host1 api 7 ID47 [x@1 session="{i}"] {text}',
                "apache access": f'10.0.0.{i} - - [{t:%d/%b/%Y}:{clock} +0000] {request} "-" "curl/8"',
                "apache error": f"[{t:%a %b %d} {clock}.1 {t.year}] [core:info] [pid {i + 100}] {text}",
                "nginx error": f"{t:%Y/%m/%d} {clock} [info] 77#77: *{i} {text}, session: s{i}",
                "json": _json(time=iso, level="info", trace=f"t{i}", message=text),
                "nested json": _json(
                    **{"@timestamp": iso, "log": {"level": "info"}, "trace": {"id": f"t{i}"}, "message": text}
                ),
                "journald": _json(
                    __REALTIME_TIMESTAMP=str(int(t.timestamp() * 1e6)), _PID=str(100 + i), MESSAGE=text
                ),
                "zap": _json(ts=t.timestamp(), level="info", msg=kind, request_id=i),
                "logfmt": f'ts={iso} level=info trace_id=t{i} msg="{text}" seconds=0.{i:03}',
                "csv": f"s{i};{kind};{iso}",
                "windows": f"Information,{t:%m/%d/%Y %I:%M:%S %p},Api,{100 + len(kind)},"
                f'"{text}\n\tLogon ID: 0x{i:x}"',
                "iis": f"{clock} {'POST' if kind == 'write' else 'GET'} /{kind} 200 s{i}",
                "cri": f"{iso} stdout F {text} (session s{i})",
                "cri json": f"{iso} stdout F {_json(level='info', session=f's{i}', msg=text)}",
                "docker": _json(log=f"{text} (session s{i})\n", stream="stdout", time=iso),
                "python": f"{t:%Y-%m-%d} {clock},123 - app.{kind} - INFO - {text} [session s{i}]",
                "python basic": f"INFO:app.{kind}:{text} session=s{i}",
                "logback": f"{clock}.123 [worker-{i % 4}] INFO  c.e.Api - {text} (session s{i})",
                "glog": f"I1101 {clock}.123456 {1000 + i} api.cc:{len(kind)}] {text}",
                "epoch": f"{t.timestamp():.3f} api[{1000 + i}] {text}",
                "bars": f"{t:%Y%m%d}-{clock}:123|Api|{30000 + i}|{text}",
                "no header": f"{text} for job {i}",
                "two keys": f"{text} {'blk_' if i % 2 else 'req='}{i}",
            }[name]
        )  # fmt: skip
    return found
