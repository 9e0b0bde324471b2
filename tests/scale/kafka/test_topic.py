"""Topics: each partition is read from the place in its state, whatever the messages hold."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from benchmarks.brokers import MOCK_PARTITIONS, Noida, mock_broker, produce
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from onward.errors import BusyError, CorpusError, InputError
from onward.scale.address import parse_address
from onward.scale.kafka import health
from onward.scale.kafka import topic as kafka_topic
from onward.scale.kafka.topic import KafkaTopic
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.stream.runner import LineSource
from onward.watch.stream.store import WatchStore

NewTopic = Callable[[int], str]
WAIT_SECONDS = 60.0


def commit(source: LineSource, store: WatchStore) -> None:
    assert source.position
    store.set_fact("position", source.position.to_json())
    store.commit()


def lines_until(source: LineSource, store: WatchStore, ready: Callable[[list[bytes]], bool]) -> list[bytes]:
    """Reads until the lines are enough, and commits the place as a runner does."""
    commit(source, store)
    found, end = list[bytes](), time.monotonic() + WAIT_SECONDS
    while True:
        lines = source.read()
        found += lines
        if lines or source.ended:
            commit(source, store)
        if not lines and (source.ended or ready(found)):
            return found
        assert time.monotonic() < end, found
        time.sleep(0 if lines else 0.05)


@contextmanager
def opened(
    address: str,
    topic: str,
    folder: Path,
    partition: int = 0,
    *,
    follows: bool = False,
    divides: bool = True,
    group: str = "group",
    said: list[str] | None = None,
) -> Iterator[tuple[LineSource, WatchStore]]:
    """Opens a partition with its state in a folder."""
    folder.mkdir(exist_ok=True)
    where, notify = parse_address(f"kafka://{address}/{topic}"), (said if said is not None else []).append
    with (
        closing(WatchStore(folder / f"{topic}-{partition}.db")) as store,
        closing(KafkaTopic(where, group, {}, follows=follows, divides=divides, notify=notify)) as stream,
    ):
        yield stream.open(partition, store), store


def read(address: str, topic: str, folder: Path, partition: int = 0, **options: Any) -> list[bytes]:
    """Returns the lines of a partition from the place in its state up to the end."""
    with opened(address, topic, folder, partition, **options) as (source, store):
        return lines_until(source, store, lambda _: False)


def test_a_partition_is_read_in_order_and_each_message_once(
    broker: Noida, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic = new_topic(3)
    sent = {partition: [b"%d of %d" % (i, partition) for i in range(2000)] for partition in (0, 2)}
    for partition, values in sent.items():
        produce(broker.address, topic, ((None, value) for value in values), partition)
    assert {p: read(broker.address, topic, tmp_path, p) for p in range(3)} == sent | {1: []}
    produce(broker.address, topic, [(None, b"later")], 2)
    assert {p: read(broker.address, topic, tmp_path, p) for p in range(3)} == {0: [], 1: [], 2: [b"later"]}


def test_lines_that_were_read_but_not_committed_are_read_again(
    broker: Noida, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic = new_topic(1)
    produce(broker.address, topic, [(None, b"one"), (None, b"two")])
    with opened(broker.address, topic, tmp_path) as (source, store):
        commit(source, store)
        while not source.read():
            time.sleep(0.05)
    assert read(broker.address, topic, tmp_path) == [b"one", b"two"]


def test_messages_may_hold_anything(broker: Noida, new_topic: NewTopic, tmp_path: Path) -> None:
    topic, long = new_topic(1), b"x" * (LONGEST_LINE + 5)
    values = [b"\x00\xff\xfe", None, b"", b"one\r\ntwo\n", long, b"\xc3\x28", b"last"]
    produce(broker.address, topic, ((None, value) for value in values))
    with opened(broker.address, topic, tmp_path) as (source, store):
        found = lines_until(source, store, lambda _: False)
        assert source.truncated == 1
    assert found == [b"\x00\xff\xfe", b"", b"one\r", b"two", long[:LONGEST_LINE], b"\xc3\x28", b"last"]
    whole = read(broker.address, topic, tmp_path / "whole", divides=False, group="whole")
    assert whole[2] == b"one\r\ntwo\n"


def test_one_client_reads_several_partitions_of_the_mock(tmp_path: Path) -> None:
    with mock_broker() as address:
        produce(address, "web", ((f"key {i}", b"%d" % i) for i in range(100)))
        where = parse_address(f"kafka://{address}/web")
        with (
            closing(KafkaTopic(where, "group", {}, follows=False, divides=True)) as stream,
            ExitStack() as stack,
        ):
            stores = [stack.enter_context(closing(WatchStore())) for _ in range(stream.count)]
            sources = [stream.open(partition, store) for partition, store in enumerate(stores)]
            found = [lines_until(*each, lambda _: False) for each in zip(sources, stores, strict=True)]
    assert len(found) == MOCK_PARTITIONS
    assert sorted(int(line) for lines in found for line in lines) == [*range(100)]
    assert all(lines == sorted(lines, key=int) for lines in found)


def test_messages_of_transactions_that_were_not_committed_are_left_out(tmp_path: Path) -> None:
    with Noida(tmp_path) as broker:
        broker.create("web", 1)
        producer = Producer({"bootstrap.servers": broker.address, "transactional.id": "a", "log_level": 2})
        producer.init_transactions(10)
        for value, end in (
            (b"aborted", producer.abort_transaction),
            (b"committed", producer.commit_transaction),
        ):
            producer.begin_transaction()
            producer.produce("web", value)
            producer.flush(10)
            end(10)
        assert read(broker.address, "web", tmp_path / "states") == [b"committed"]


def test_a_watch_that_is_killed_after_tombstones_continues(
    broker: Noida, new_topic: NewTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no lines, so a runner commits nothing after them."""
    monkeypatch.setattr(kafka_topic, "RENEW_SECONDS", 0.1)
    topic, killed_after = new_topic(1), time.monotonic() + 1
    produce(broker.address, topic, [("a", b"one"), ("a", None), ("a", None)])
    with opened(broker.address, topic, tmp_path, follows=True) as (source, store):
        assert lines_until(source, store, lambda _: time.monotonic() > killed_after) == [b"one"]
        produce(broker.address, topic, [("a", None)])
        killed_after = time.monotonic() + 1
        assert lines_until(source, store, lambda _: time.monotonic() > killed_after) == []
    produce(broker.address, topic, [("a", b"two")])
    assert read(broker.address, topic, tmp_path) == [b"two"]


class TestOneStateForEachPartition:
    def test_another_state_is_refused(self, broker: Noida, new_topic: NewTopic, tmp_path: Path) -> None:
        topic = new_topic(1)
        produce(broker.address, topic, [(None, b"one")])
        read(broker.address, topic, tmp_path / "a")
        with pytest.raises(BusyError, match="another watch of the group group reads partition 0") as refused:
            read(broker.address, topic, tmp_path / "b")
        assert "--state" in refused.value.hint and "--partitions" in refused.value.hint
        assert read(broker.address, topic, tmp_path / "b", group="other") == [b"one"]
        assert read(broker.address, topic, tmp_path / "a") == []

    def test_an_older_copy_of_the_state_is_refused(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        topic = new_topic(1)
        produce(broker.address, topic, [(None, b"one")])
        read(broker.address, topic, tmp_path / "a")
        state = tmp_path / "a" / f"{topic}-0.db"
        older = state.read_bytes()
        produce(broker.address, topic, [(None, b"two")])
        read(broker.address, topic, tmp_path / "a")
        state.write_bytes(older)
        with pytest.raises(InputError, match="has read up to 2: it is an older copy of the state"):
            read(broker.address, topic, tmp_path / "a")

    def test_the_state_of_another_partition_is_refused(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        topic = new_topic(2)
        read(broker.address, topic, tmp_path, 1)
        (tmp_path / f"{topic}-1.db").rename(tmp_path / f"{topic}-0.db")
        with pytest.raises(InputError, match=f"belongs to partition 1 of {topic}, not to partition 0"):
            read(broker.address, topic, tmp_path, 0)

    def test_two_watches_that_began_together_are_noticed(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kafka_topic, "RENEW_SECONDS", 0.1)
        topic = new_topic(1)
        with (
            pytest.raises(BusyError, match="another watch of the group"),
            opened(broker.address, topic, tmp_path / "a", follows=True) as (first, store),
            opened(broker.address, topic, tmp_path / "b", follows=True) as (second, other),
        ):
            lines_until(first, store, lambda _: True)
            lines_until(second, other, lambda _: True)
            lines_until(first, store, lambda _: False)

    def test_other_programs_see_how_far_the_watch_is(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        topic = new_topic(1)
        produce(broker.address, topic, [(None, b"one"), (None, b"two")])
        read(broker.address, topic, tmp_path)
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "group"})
        (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
        consumer.close()
        assert found.offset == 2


class TestTrouble:
    def test_a_topic_that_does_not_exist_is_refused(self, broker: Noida, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=f"there is no topic none at {broker.address}"):
            read(broker.address, "none", tmp_path)

    def test_a_broker_that_does_not_answer_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "ANSWER_SECONDS", 1.0)
        with pytest.raises(CorpusError, match=r"cannot reach a Kafka broker at 127\.0\.0\.1:1:") as refused:
            read("127.0.0.1:1", "web", tmp_path)
        assert "--kafka-config" in refused.value.hint

    @pytest.mark.slow
    def test_a_broker_that_restarts_loses_and_repeats_nothing(self, tmp_path: Path) -> None:
        said: list[str] = []
        with Noida(tmp_path) as broker:
            broker.create("web", 1)
            produce(broker.address, "web", ((None, b"%d" % i) for i in range(100)))
            with opened(broker.address, "web", tmp_path / "states", follows=True, said=said) as (
                source,
                store,
            ):
                found = lines_until(source, store, lambda lines: source.is_at_end)
                for restart in range(2):
                    broker.stop()
                    lines_until(source, store, lambda _: len(said) % 2 == 1)
                    assert not source.is_at_end
                    broker.start()
                    lines_until(source, store, lambda _: source.is_at_end)
                    produce(broker.address, "web", [(None, b"%d" % (100 + restart))])
                    found += lines_until(source, store, lambda lines: len(lines) == 1)
        assert found == [b"%d" % i for i in range(102)]
        assert "cannot read web" in said[0] and "can be read again" in said[1]

    def test_a_topic_that_is_deleted_ends_the_watch(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "LOOK_SECONDS", 0.2)
        monkeypatch.setattr(health, "UNKNOWN_SECONDS", 2.0)
        topic = new_topic(1)
        produce(broker.address, topic, [(None, b"one")])
        with opened(broker.address, topic, tmp_path, follows=True) as (source, store):
            assert lines_until(source, store, lambda lines: len(lines) == 1) == [b"one"]
            broker.delete(topic)
            with pytest.raises(CorpusError, match=f"the topic {topic} was deleted"):
                lines_until(source, store, lambda _: False)
            assert source.position and source.position.to_json()["offset"] == 1

    def test_a_topic_that_was_made_anew_is_refused(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        """This broker has no ids of topics, so the offset shows it."""
        topic = new_topic(1)
        produce(broker.address, topic, [(None, b"one"), (None, b"two")])
        read(broker.address, topic, tmp_path)
        broker.delete(topic)
        broker.create(topic, 1)
        produce(broker.address, topic, [(None, b"three")])
        with pytest.raises(InputError, match="was deleted and created again"):
            read(broker.address, topic, tmp_path)

    def test_messages_that_the_broker_removed_are_reported(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        topic, said = new_topic(1), list[str]()
        produce(broker.address, topic, [(None, b"one")])
        read(broker.address, topic, tmp_path)
        produce(broker.address, topic, ((None, b"%d" % i) for i in range(5)))
        admin = AdminClient({"bootstrap.servers": broker.address})
        (done,) = admin.delete_records([TopicPartition(topic, 0, 4)]).values()
        done.result(10)
        assert read(broker.address, topic, tmp_path, said=said) == [b"3", b"4"]
        assert said == [
            "partition 0: the broker removed 3 messages before they were read, from offset 1 on: they are "
            "lost"
        ]

    def test_new_partitions_are_reported(
        self, broker: Noida, new_topic: NewTopic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "LOOK_SECONDS", 0.2)
        topic, said = new_topic(2), list[str]()
        with opened(broker.address, topic, tmp_path, follows=True, said=said) as (source, store):
            lines_until(source, store, lambda _: source.is_at_end)
            admin = AdminClient({"bootstrap.servers": broker.address})
            admin.create_partitions([NewPartitions(topic, 3)])[topic].result(10)
            lines_until(source, store, lambda _: bool(said))
        assert said[0].startswith(f"{topic} now has 3 partitions, not 2")
