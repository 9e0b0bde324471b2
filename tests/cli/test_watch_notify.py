"""`onward watch run` with targets: webhooks, Alertmanager and syslog from the command line."""

import base64
import hashlib
import hmac
import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows
from tests.watch.notify.receivers import HANG, http_receiver, wait_until

Command = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five sessions, each with another event that was never seen before, so that each is an incident."""
    path = tmp_path / "new.jsonl"
    path.write_text(rows([["start", f"boom{i}", "read", "sync", "stop"] for i in range(5)]))
    return path


def test_incidents_reach_all_targets(onward: Command, watching: Path, log: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    with (
        http_receiver(500) as hook,
        http_receiver() as manager,
        socket.socket(type=socket.SOCK_DGRAM) as syslog,
    ):
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(10)
        ran = onward(
            *("watch", "run", watching, log, "--json"),
            *("--webhook", f"{hook.url}/private", "--webhook-secret", tmp_path / "secret"),
            *("--alertmanager", manager.url, "--syslog", f"udp://127.0.0.1:{syslog.getsockname()[1]}"),
        )
        messages = [syslog.recv(65536) for _ in range(10)]
    assert ran.code == 3
    *notices, last = [json.loads(line) for line in ran.out.splitlines()]
    sent = [
        {name: value for name, value in body.items() if name not in ("id", "detector")}
        for body in hook.bodies[1:]  # the first attempt failed
    ]
    assert sent == notices
    _, headers, body = hook.requests[-1]
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    digest = hmac.digest(b"s3cret", signed, hashlib.sha256)
    assert headers["Webhook-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
    causes = {alert["labels"]["cause"] for alerts in manager.bodies for alert in alerts}
    assert causes == {f"first seen: boom{i}" for i in range(5)}
    assert {path for path, _, _ in manager.requests} == {"/api/v2/alerts"}
    assert [b" opened " in message for message in messages] == [True] * 5 + [False] * 5
    assert [(one["delivered"], one["failures"]) for one in last["summary"]["targets"]] == [
        (10, 1),
        (10, 0),
        (10, 0),
    ]
    assert f"cannot deliver to {hook.url}: got status 500; trying again" in ran.err
    assert "private" not in ran.err


def test_the_secret_may_come_from_the_environment(
    onward: Command, watching: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_receiver() as receiver:
        monkeypatch.setenv("ONWARD_WEBHOOK", receiver.url)
        monkeypatch.setenv("ONWARD_WEBHOOK_SECRET", "s3cret")
        assert onward("watch", "run", watching, log).code == 3
    assert len(receiver.requests) == 10
    assert all(headers["Webhook-Signature"] for _, headers, _ in receiver.requests)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--webhook", "ftp://host"], "--webhook must be an http or https URL"),
        (["--alertmanager", "host:9093"], "--alertmanager must be an http or https URL"),
        (["--syslog", "loghost"], "--syslog must be local, udp://HOST:PORT or tcp://HOST:PORT"),
        (["--syslog", "local", "--syslog", "local"], "the same target was given twice"),
        (["--webhook", "http://h", "--webhook-secret", "/nowhere"], "cannot read the secret"),
    ],
)
def test_wrong_targets_are_refused(
    options: list[str], said: str, onward: Command, watching: Path, log: Path
) -> None:
    ran = onward("watch", "run", watching, log, *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err and "hint: " in ran.err


@pytest.mark.slow
def test_a_watch_that_is_killed_during_a_delivery_loses_no_notice(
    process: Callable[..., subprocess.Popen[bytes]], watching: Path, log: Path, tmp_path: Path
) -> None:
    with http_receiver(200, 200, HANG) as receiver:
        command = ("watch", "run", watching, log, "--state", tmp_path / "watch.db", "--webhook", receiver.url)
        child = process(*command, "--follow")
        wait_until(lambda: len(receiver.requests) == 3, 60)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        _, err = process(*command, "--end").communicate(timeout=60)
    numbers = [int(name.rpartition("-")[2]) for name in receiver.names]
    assert sorted(set(numbers)) == list(range(1, 11)), err  # five incidents, opened and closed
    assert numbers[2] == 3 and numbers.count(3) == 2
    assert len({name.partition("-")[0] for name in receiver.names}) == 1
