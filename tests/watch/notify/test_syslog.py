"""Syslog: messages that a parser of RFC 5424 reads, from each kind of transport."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from tests.watch.notify.receivers import alarm, closed, free_port

from onward.errors import InputError
from onward.watch.notify.syslog import Syslog
from onward.watch.stream.notifier import DeliveryError
from onward.watch.stream.store import Notice

PRINTED = "[!-~]"
MESSAGE = re.compile(
    rf"<(?P<priority>\d{{1,3}})>1 (?P<time>\S+) (?P<host>{PRINTED}{{1,255}}) (?P<app>{PRINTED}{{1,48}}) "
    rf"(?P<process>{PRINTED}{{1,128}}) (?P<kind>{PRINTED}{{1,32}}) "
    r"\[(?P<id>[!-~]{1,32}?)(?P<data>(?: [a-z]+=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*)\] (?P<text>.*)",
    re.DOTALL,
)
PARAMETER = re.compile(r' ([a-z]+)="((?:[^"\\\]]|\\["\\\]])*)"')


def parsed(message: bytes) -> dict[str, str]:
    """Returns the fields and the structured data of a message of RFC 5424."""
    found = MESSAGE.fullmatch(message.decode())
    assert found, message
    data = {name: re.sub(r"\\(.)", r"\1", value) for name, value in PARAMETER.findall(found["data"])}
    assert datetime.fromisoformat(found["time"]).tzinfo
    return found.groupdict() | data


@contextmanager
def datagrams(path: Path | None = None) -> Iterator[socket.socket]:
    family = socket.AF_UNIX if path else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path) if path else ("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver


def over_udp(notice: Notice) -> bytes:
    with datagrams() as receiver:
        Syslog(f"udp://127.0.0.1:{receiver.getsockname()[1]}", 'the "audit"').send("w-1", notice)
        return receiver.recv(65536)


def test_an_alarm_and_a_closed_incident_over_udp() -> None:
    opened, ended = parsed(over_udp(alarm(1, 3))), parsed(over_udp(closed(3)))
    assert (opened["priority"], ended["priority"]) == ("28", "29")  # daemon.warning, daemon.notice
    assert (opened["app"], opened["kind"], ended["kind"]) == ("onward", "opened", "closed")
    for message in (opened, ended):
        assert message["id"] == "w-1"  # the parameter replaces the name of the element
        assert (message["detector"], message["incident"]) == ('the "audit"', "3")
    assert 'b"oo]m' in opened["text"] and "first seen: boom" in opened["text"]
    assert "5 alarms in 1m" in ended["text"]


def test_a_message_of_a_partition_has_its_number() -> None:
    for notice in (alarm(1), closed(1)):
        assert parsed(over_udp(replace(notice, partition=3)))["partition"] == "3"
        assert "partition" not in parsed(over_udp(notice))


def test_the_local_socket(tmp_path: Path) -> None:
    with datagrams(tmp_path / "log") as receiver:
        Syslog("local", "audit", tmp_path / "log").send("w-1", alarm(1))
        assert parsed(receiver.recv(65536))["incident"] == "1"


def test_messages_over_tcp_are_counted() -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def receive() -> None:
            for _ in range(2):
                with server.accept()[0] as connection, connection.makefile("rb") as file:
                    received.append(file.read())

        thread = threading.Thread(target=receive)
        thread.start()
        syslog = Syslog(f"tcp://127.0.0.1:{server.getsockname()[1]}", "audit")
        syslog.send("w-1", alarm(1))
        syslog.send("w-2", closed(1))
        thread.join(10)
    for content, kind in zip(received, ("opened", "closed"), strict=True):
        length, _, message = content.partition(b" ")
        assert int(length) == len(message)
        assert parsed(message)["kind"] == kind


def test_no_line_break_or_control_character_of_a_log_reaches_syslog() -> None:
    message = over_udp(replace(alarm(1), line="a\nb\x1b[31m\tc"))
    assert message.decode().isprintable()
    assert r"a\nb\x1b[31m" in parsed(message)["text"]


def test_text_that_is_not_ascii_is_marked_as_utf_8() -> None:
    assert parsed(over_udp(replace(alarm(1), key="ключ")))["text"].startswith("\ufeff")
    assert not parsed(over_udp(alarm(1)))["text"].startswith("\ufeff")


def test_a_long_message_fits_into_a_datagram() -> None:
    message = over_udp(replace(alarm(1), line="ü" * 5000))
    assert 2046 <= len(message) <= 2048
    assert parsed(message)["kind"] == "opened"


def test_a_receiver_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    for syslog in (
        Syslog("local", "audit", tmp_path / "none"),
        Syslog(f"tcp://127.0.0.1:{free_port()}", "audit"),
    ):
        with pytest.raises(DeliveryError) as caught:
            syslog.send("w-1", alarm(1))
        assert not caught.value.is_final


@pytest.mark.parametrize("address", ["", "host", "http://host", "udp://", "tcp://host:x", "udp://host/path"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="--syslog must be local, udp://HOST:PORT or tcp://HOST:PORT"):
        Syslog(address, "audit")
