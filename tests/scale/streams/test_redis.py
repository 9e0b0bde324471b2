"""Streams of Redis, with a real server: each entry is read once, from the place in the state."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.cli.conftest import Command
from tests.scale.sessions import alarms_in, events

from onward.errors import BusyError, CorpusError, InputError
from onward.scale.address import parse_address
from onward.scale.streams.redis import RedisStream
from onward.watch.stream.store import WatchStore


class Server:
    """A Redis server in a process of its own, which keeps its entries on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = redis.Redis("127.0.0.1", self.port)
        self.start()

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder, "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def url(self, stream: str) -> str:
        return f"redis://127.0.0.1:{self.port}/{stream}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    running = Server(tmp_path_factory.mktemp("redis"))
    yield running
    running.client.close()
    running.stop()


@pytest.fixture
def stream(server: Server, request: pytest.FixtureRequest) -> str:
    """The name of a stream that no other test uses."""
    return request.node.name.replace("[", "-").replace("]", "")[:80]


@contextmanager
def opened(
    server: Server, stream: str, folder: Path, said: list[str] | None = None, *, follows: bool = False
) -> Iterator[tuple[RedisStream, WatchStore]]:
    folder.mkdir(exist_ok=True)
    notify: Callable[[str], None] = (said if said is not None else []).append
    source = RedisStream(parse_address(server.url(stream)), "group", follows=follows, notify=notify)
    with closing(WatchStore(folder / f"{stream}-0.db")) as store, closing(source):
        yield source.open(0, store), store


def read(source: RedisStream, store: WatchStore, until: Callable[[], bool] = lambda: False) -> list[bytes]:
    """Reads as a runner does, and commits the place, until the end or until something is so."""
    found, end = list[bytes](), time.monotonic() + 30
    while True:
        lines = source.read()
        found += lines
        store.set_fact("position", source.position.to_json())
        store.commit()
        if not lines and (source.ended or until()):
            return found
        assert time.monotonic() < end, found
        time.sleep(0 if lines else 0.05)


def read_all(server: Server, stream: str, folder: Path, said: list[str] | None = None) -> list[bytes]:
    with opened(server, stream, folder, said) as (source, store):
        return read(source, store)


def add(server: Server, stream: str, *lines: bytes) -> None:
    with server.client.pipeline() as sent:
        for line in lines:
            sent.xadd(stream, {"line": line})
        sent.execute()


def test_entries_are_read_in_order_and_once(server: Server, stream: str, tmp_path: Path) -> None:
    sent = [b"%d" % number for number in range(2500)]
    add(server, stream, *sent)
    assert read_all(server, stream, tmp_path) == sent
    add(server, stream, b"later")
    assert read_all(server, stream, tmp_path) == [b"later"]
    assert server.client.hget(f"onward:group:{stream}", "watch")


def test_entries_may_hold_anything(server: Server, stream: str, tmp_path: Path) -> None:
    add(server, stream, b"\x00\xff", b"")
    server.client.xadd(stream, {"key": "s1", b"event\xff": b"start\xff"})
    *lines, fields = read_all(server, stream, tmp_path)
    assert lines == [b"\x00\xff", b""]
    assert json.loads(fields) == {"key": "s1", "event\ufffd": "start\ufffd"}


def test_another_state_is_refused(server: Server, stream: str, tmp_path: Path) -> None:
    add(server, stream, b"one")
    read_all(server, stream, tmp_path / "a")
    with pytest.raises(BusyError, match="another watch reads") as refused:
        read_all(server, stream, tmp_path / "b")
    assert "--group" in refused.value.hint


def test_an_older_copy_of_the_state_is_refused(server: Server, stream: str, tmp_path: Path) -> None:
    add(server, stream, b"one")
    read_all(server, stream, tmp_path)
    state = tmp_path / f"{stream}-0.db"
    older = state.read_bytes()
    add(server, stream, b"two")
    read_all(server, stream, tmp_path)
    state.write_bytes(older)
    with pytest.raises(InputError, match="the state is an older copy"):
        read_all(server, stream, tmp_path)


def test_a_stream_that_was_deleted_is_reported(server: Server, stream: str, tmp_path: Path) -> None:
    add(server, stream, b"one", b"two")
    with opened(server, stream, tmp_path, follows=True) as (source, store):
        assert read(source, store, lambda: source.is_at_end) == [b"one", b"two"]
        server.client.delete(stream)
        with pytest.raises(CorpusError, match=f"cannot read a stream {stream} at "):
            read(source, store)
    server.client.xadd(stream, {"line": b"three"}, id="5-1")
    with pytest.raises(InputError, match="was deleted and created again"):
        read_all(server, stream, tmp_path)


def test_a_stream_that_does_not_exist_is_not_claimed(server: Server, stream: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=f"cannot read a stream {stream} at "):
        read_all(server, stream, tmp_path)
    server.client.set(stream, "a string")
    with pytest.raises(CorpusError, match=f"cannot read a stream {stream} at .*WRONGTYPE"):
        read_all(server, stream, tmp_path)
    assert not server.client.exists(f"onward:group:{stream}")


def test_a_stream_of_redis_has_one_partition(
    onward: Command, watching: Path, server: Server, stream: str, tmp_path: Path
) -> None:
    where = ["--group", "a", "--state", tmp_path / "states", "--partitions", "0"]
    ran = onward("watch", "run", watching, server.url(stream), *where)
    assert ran.code == 2
    assert "--partitions is only for topics of Kafka" in ran.err


def test_entries_that_were_removed_before_they_were_read_are_reported(
    server: Server, stream: str, tmp_path: Path
) -> None:
    said: list[str] = []
    add(server, stream, b"one")
    read_all(server, stream, tmp_path)
    server.client.xtrim(stream, maxlen=0, approximate=False)
    add(server, stream, b"two")
    assert read_all(server, stream, tmp_path, said) == [b"two"]
    assert said == []  # the entry that was removed had been read
    add(server, stream, b"three", b"four")
    server.client.xtrim(stream, maxlen=1, approximate=False)
    assert read_all(server, stream, tmp_path, said) == [b"four"]
    (message,) = said
    assert message.endswith("entries were removed before they were read: they are lost")
    deleted = server.client.xadd(stream, {"line": b"five"})
    add(server, stream, b"six")
    server.client.xdel(stream, deleted)
    assert read_all(server, stream, tmp_path, said) == [b"six"]
    assert said == [message, message]
    server.client.xtrim(stream, maxlen=0, approximate=False)
    assert read_all(server, stream, tmp_path, said) == []
    assert len(said) == 2


def test_a_server_that_restarts_loses_and_repeats_nothing(tmp_path: Path) -> None:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    said, server = list[str](), Server(tmp_path)
    add(server, "web", b"one")
    with opened(server, "web", tmp_path / "states", said, follows=True) as (source, store):
        found = read(source, store, lambda: source.is_at_end)
        server.stop()
        found += read(source, store, lambda: len(said) == 1)
        assert not source.is_at_end
        server.start()
        add(server, "web", b"two")
        found += read(source, store, lambda: source.is_at_end)
    server.client.close()
    server.stop()
    assert found == [b"one", b"two"]
    assert "cannot reach Redis" in said[0] and "answers again" in said[1]


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(InputError, match="the package redis, which is not installed") as refused:
        RedisStream(parse_address("redis://localhost/web"), "group", follows=False, notify=print)
    assert refused.value.hint == "pip install '.[redis]'"


def test_a_server_that_does_not_answer_is_an_error(onward: Command, watching: Path, tmp_path: Path) -> None:
    ran = onward("watch", "run", watching, "redis://127.0.0.1:1/web", "--group", "a", "--state", tmp_path)
    assert ran.code == 2
    assert "cannot reach Redis at redis://127.0.0.1:1/web" in ran.err


@pytest.mark.slow
def test_a_watch_of_a_stream_raises_the_alarms_of_a_file_after_kills_too(
    onward: Command, watching: Path, server: Server, stream: str, process: Any, tmp_path: Path
) -> None:
    sent, log, alarms = [line for _, line in events(100)], tmp_path / "a.jsonl", tmp_path / "alarms.jsonl"
    log.write_bytes(b"".join(line + b"\n" for line in sent))
    onward(
        "watch", "run", watching, log, "--state", tmp_path / "a.db", "--alarms", tmp_path / "file", "--end"
    )
    watch = ["watch", "run", watching, server.url(stream), "--group", "group", "--state", tmp_path / "states"]
    for first in range(0, len(sent), 200):
        add(server, stream, *sent[first : first + 200])
        child = process(*watch, "--alarms", alarms, "--follow", stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not server.client.hget(f"onward:group:{stream}", "entry") and child.poll() is None:
            assert time.monotonic() < end
        time.sleep(0.3)
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        server.client.hdel(f"onward:group:{stream}", "entry")
    assert onward(*watch, "--alarms", alarms, "--end").code in (0, 3)
    expected = [notice | {"partition": 0} for notice in alarms_in(tmp_path / "file")]
    assert alarms_in(tmp_path / "alarms-0.jsonl") == expected
    assert len(expected) > 5
