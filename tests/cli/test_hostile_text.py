"""Control characters in files, logs, models and names: none reaches standard error or a terminal as it is."""

import json
import os
import pty
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.cli.sessions import session

from onward.artefact import load, save
from onward.cli import main

HOSTILE = "\x1b]0;x\x07\x9b31m\u202e\x7f"
"""Sets the title of a terminal and rings its bell, sets a colour with a C1 control, and reorders text."""
FORGED = "\nerror: forged"
NAME = HOSTILE + FORGED
NOT_UNICODE = os.fsdecode(b"not UTF-8 \xff.txt")
RAW = re.compile(rb"\x1b\]|\x07|\xc2\x9b|\xe2\x80\xae|\x7f|\xff")
ESCAPED = re.compile(r"\\x1b|\\u001b|\ufffd|\\udcff")
TEXT = f"the state {HOSTILE} goes on where the lane ended\r\n" * 200
KEY, EVENT = f"key{NAME}", f"event{NAME}"


@dataclass(frozen=True)
class Shown:
    """What a command line showed, in bytes. On a terminal both streams are one."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return (self.out + self.err).decode(errors="surrogateescape")


Show = Callable[..., Shown]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Runs a command line in this process, with a pseudo-terminal as its output."""
    return lambda *arguments: _run(monkeypatch, *pty.openpty(), arguments)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Runs a command line in this process, with a pipe for each stream."""

    def run(*arguments: object) -> Shown:
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        errors = _Reader(err)
        shown = _run(monkeypatch, out, to_out, arguments, to_err)
        os.close(to_err)
        return Shown(shown.code, shown.out, errors.result())

    return run


class _Reader(threading.Thread):
    """Reads until the other end is closed."""

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle, self._read = handle, b""
        self.start()

    def run(self) -> None:
        try:
            while piece := os.read(self._handle, 1 << 16):
                self._read += piece
        except OSError:  # a terminal whose other end is closed
            pass

    def result(self) -> bytes:
        self.join()
        os.close(self._handle)
        return self._read


def _run(
    monkeypatch: pytest.MonkeyPatch,
    reading: int,
    writing: int,
    arguments: tuple[object, ...],
    errors: int | None = None,
) -> Shown:
    reader = _Reader(reading)
    with (
        monkeypatch.context() as patch,
        open(writing, "w", encoding="utf-8") as out,
        open(writing if errors is None else errors, "w", encoding="utf-8", closefd=False) as err,
        pytest.raises(SystemExit) as left,
    ):
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLUMNS", "200")
        patch.setattr(sys, "argv", ["onward", *map(str, arguments)])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        main()
    return Shown(int(left.value.code or 0), reader.result(), b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a hostile name, a text, a log, a model and a detector."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / NOT_UNICODE).write_text(TEXT, encoding="utf-8")
    chance = random.Random(0)
    _write_log(folder / "normal.jsonl", [session(chance) for _ in range(300)])
    _write_log(folder / "new.jsonl", [["start", "stop", "stop", "never", "seen"] * 3, session(chance)])
    for arguments in (
        ["train", folder / "text.txt", "-o", folder / "m.onward", "--recipe", "tiny", "--steps", "20"],
        ["watch", "learn", folder / "normal.jsonl", "-o", folder / "d.onward", *COLUMNS, *QUICK],
    ):
        subprocess.run(
            [sys.executable, "-m", "onward", *map(str, arguments)], check=True, capture_output=True
        )
    model = load(folder / "m.onward")
    recipe, facts = model.recipe | {NAME: NAME}, model.facts | {NAME: NAME}
    save(replace(model, recipe=recipe, facts=facts), folder / "m.onward")
    return folder.rename(folder.with_name(f"hostile{NAME}"))


COLUMNS = ["--key", KEY, "--event", EVENT]
QUICK = ["--held-out", "50%", "--steps", "20", "--false-alarms", "2%"]


def _write_log(path: Path, sessions: list[list[str]]) -> None:
    rows = [
        {KEY: f"s{number}{NAME}", EVENT: f"{event}{NAME}"}
        for number, events in enumerate(sessions)
        for event in events
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


COMMANDS = {
    "train": ["train", "@text.txt", "-o", "new.onward", "--recipe", "tiny", "--steps", "5"],
    "train on a missing file": ["train", f"missing{NAME}", "-o", "new.onward"],
    "write": ["write", "@m.onward", "--prime", HOSTILE, "--length", "300"],
    "write samples": ["write", "@m.onward", "--samples", "2", "--length", "300"],
    "write as JSON": ["write", "@m.onward", "--prime", HOSTILE, "--length", "300", "--json"],
    "complete": ["complete", "@m.onward", "--prime", "the state ", "--until", "3"],
    "complete as JSON": ["complete", "@m.onward", "--prime", HOSTILE, "--until", "3", "--json"],
    "score": ["score", "@m.onward", "@text.txt"],
    "score files": ["score", "@m.onward", "@text.txt", "--per", "file"],
    "score a file whose name is not Unicode": ["score", "@m.onward", f"@{NOT_UNICODE}", "--per", "file"],
    "score it as JSON": ["score", "@m.onward", f"@{NOT_UNICODE}", "--per", "file", "--json"],
    "score lines": ["score", "@m.onward", "@text.txt", "--per", "line"],
    "score lines as JSON": ["score", "@m.onward", "@text.txt", "--per", "line", "--json"],
    "score symbols": ["score", "@m.onward", "@text.txt", "--per", "symbol"],
    "score a page": ["score", "@m.onward", "@text.txt", "--html", f"page{HOSTILE}.html"],
    "novelty": ["novelty", "@text.txt", "--corpus", "@text.txt"],
    "novelty as JSON": ["novelty", "@text.txt", "--corpus", "@text.txt", "--json"],
    "info": ["info", "@m.onward"],
    "info as JSON": ["info", "@m.onward", "--json"],
    "info of a detector": ["info", "@d.onward"],
    "info of another file": ["info", "@text.txt"],
    "draw": ["draw", "@m.onward", "-o", f"drawn{HOSTILE}.svg"],
    "draw nothing": ["draw", "@m.onward", "-o", f"drawn.{NAME}"],
    "learn": ["watch", "learn", "@normal.jsonl", "-o", "new.onward", *COLUMNS, *QUICK],
    "learn another column": ["watch", "learn", "@normal.jsonl", "-o", "new.onward", "--event", NAME],
    "learn another format": ["watch", "learn", "@normal.jsonl", "-o", "new.onward", *QUICK],
    "run": ["watch", "run", "@d.onward", "@new.jsonl", "--alarms", f"alarms{HOSTILE}.jsonl"],
    "run as JSON": ["watch", "run", "@d.onward", "@new.jsonl", "--json"],
    "run on another format": ["watch", "run", "@d.onward", "@text.txt"],
    "run with a state": ["watch", "run", "@d.onward", "@new.jsonl", "--state", "watch.db"],
    "explain": ["watch", "explain", "@d.onward", "@new.jsonl", "--key", f"s0{NAME}"],
    "explain another key": ["watch", "explain", "@d.onward", "@new.jsonl", "--key", f"other{NAME}"],
    "judge": ["watch", "judge", "@d.onward", "--normal", "@normal.jsonl",
              "--anomalous", f"a{NAME}=@new.jsonl", "--anomalous", "@new.jsonl"],
    "mark as normal": ["watch", "ok", "@d.onward", "@new.jsonl", "--key", f"s1{NAME}", "-o", "new.onward"],
    "mark an unknown event": [
        "watch", "ok", "@d.onward", "@new.jsonl", "--key", f"s0{NAME}", "-o", "new.onward",
    ],
    "an unknown rung": ["lesson", NAME],
    "an unknown command": [NAME],
    "a wrong value": ["write", "@m.onward", "--length", NAME],
    "serve a missing file": ["serve", f"missing{NAME}"],
}  # fmt: skip
SAFE = {
    "train",
    "run with a state",
    "score",
    "score symbols",
    "learn",
    "learn another format",
    "mark as normal",
}
"""Commands that show nothing of the text."""


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_shows_control_characters(
    name: str, folder: Path, on_terminal: Show, piped: Show, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = [part.replace("@", f"{folder}/") for part in COMMANDS[name]]
    monkeypatch.chdir(tmp_path)
    both = on_terminal(*arguments), piped(*arguments)
    for shown in both:
        assert not RAW.search(shown.err), shown.err
        assert "\nerror: forged" not in shown.text.replace("\r", "")
    assert not RAW.search(both[0].out), both[0].out
    if name not in ("write", "write samples"):
        assert not RAW.search(both[1].out), both[1].out
    assert name in SAFE or ESCAPED.search(both[0].text), both[0].text


def test_piped_text_of_a_model_stays_as_it_is(folder: Path, piped: Show) -> None:
    shown = piped("write", folder / "m.onward", "--prime", HOSTILE, "--length", 300)
    assert shown.out.startswith(HOSTILE.encode())


CRASH = """
import logging, os, sys, threading, warnings
import onward
from onward.cli import main

def fail(path):
    warnings.warn(os.environ["HOSTILE"])
    logging.getLogger("onward.serve").error("failed: %s", os.environ["HOSTILE"])
    print(os.environ["HOSTILE"])
    print(os.environ["HOSTILE"], file=sys.stderr)
    thread = threading.Thread(target=lambda: open(os.environ["HOSTILE"]))
    thread.start()
    thread.join()
    raise RuntimeError(os.environ["HOSTILE"])

onward.load = fail
main()
"""


def test_tracebacks_warnings_and_logs_show_no_control_characters() -> None:
    master, slave = pty.openpty()
    reader = _Reader(master)
    command = [sys.executable, "-c", CRASH, "info", "model"]
    environment = os.environ | {"HOSTILE": NAME}
    code = subprocess.run(command, env=environment, stdout=slave, stderr=slave, check=False).returncode
    os.close(slave)
    shown = reader.result()
    assert code == 1
    assert shown.count(rb"\x1b]0;x\x07\x9b31m\u202e\x7f") == 6, shown
    assert rb"failed: \x1b]0;x\x07\x9b31m\u202e\x7f\nerror: forged" in shown, shown
    assert not RAW.search(shown), shown


BROKEN_SERVER = """
import logging
from onward.cli import main
from onward.serve import app

def fail(error):
    logging.getLogger("onward.serve").warning("no answer: %s", error)
    raise RuntimeError(str(error))

app.error_response = fail
main()
"""
REQUESTS = (
    f"GET /{quote(NAME)} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    f"GET /healthz HTTP/1.1\r\nHost: {HOSTILE}\r\n\r\n",
    f"{HOSTILE} / HTTP/1.1\r\n\r\n",
    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n" + HOSTILE * 4,
)


@pytest.mark.slow
def test_the_log_of_a_server_shows_no_control_characters(folder: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-c", BROKEN_SERVER, "serve", folder / "m.onward", "--port", "0"]
    with subprocess.Popen(command, stdout=slave, stderr=slave) as server:
        os.close(slave)
        started = b""
        while not (address := re.search(rb"http://127.0.0.1:(\d+)/", started)):
            started += os.read(master, 1 << 16)
        reader = _Reader(master)
        for request in REQUESTS:
            with socket.create_connection(("127.0.0.1", int(address[1])), timeout=20) as connection:
                connection.sendall(request.encode())
                connection.recv(1 << 16)
        server.terminate()
    shown = started + reader.result()
    assert not RAW.search(shown), shown
    assert rb"no answer: there is no GET /\x1b]0;x\x07\x9b31m\u202e\x7f" in shown
    assert b"Exception in ASGI application\r\nTraceback" in shown.replace(b"\r\r", b"\r")
