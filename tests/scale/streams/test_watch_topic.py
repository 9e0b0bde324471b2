"""`onward watch run` on a topic raises the alarms that it raises on files with the same lines."""

import importlib
import json
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benchmarks.brokers import Noida, produce
from confluent_kafka import Consumer, TopicPartition
from tests.cli.conftest import Command
from tests.documentation import ROOT
from tests.scale.sessions import alarms_in, events

NewTopic = Callable[[int], str]
PARTITIONS = 4


def content(address: str, topic: str, partition: int) -> list[bytes]:
    """Returns the messages of a partition."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "look", "enable.partition.eof": True, "log_level": 2}
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[bytes] = []
    while (message := consumer.poll(10)) is not None and not message.error():
        found.append(message.value() or b"")
    consumer.close()
    return found


def judged(path: Path) -> set[tuple[str, float]]:
    """Returns the keys and p-values of the alarms in a file."""
    return {(each["key"], each["p_value"]) for each in alarms_in(path) if each["type"] == "alarm"}


@pytest.fixture
def watch_topic(onward: Command, watching: Path, broker: Noida, tmp_path: Path) -> Callable[..., Any]:
    """Watches a topic to its end, and ends the open sequences."""

    def run(topic: str, *options: object, model: Path = watching) -> Any:
        address = f"kafka://{broker.address}/{topic}"
        state = ["--group", "group", "--state", tmp_path / "states", "--alarms", tmp_path / "alarms.jsonl"]
        return onward("watch", "run", model, address, *state, *options)

    return run


def test_each_partition_raises_the_alarms_of_a_file_with_its_messages(
    onward: Command, watch_topic: Any, watching: Path, broker: Noida, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic = new_topic(PARTITIONS)
    produce(broker.address, topic, events(150))
    ran = watch_topic(topic, "--end", "--json")
    assert ran.code == 3
    printed = [json.loads(line) for line in ran.out.splitlines()]
    for partition in range(PARTITIONS):
        log, alarms = tmp_path / f"{partition}.jsonl", tmp_path / f"file-{partition}.jsonl"
        log.write_bytes(b"".join(line + b"\n" for line in content(broker.address, topic, partition)))
        onward(
            "watch",
            "run",
            watching,
            log,
            "--state",
            tmp_path / f"{partition}.db",
            "--alarms",
            alarms,
            "--end",
        )
        expected = [notice | {"partition": partition} for notice in alarms_in(alarms)]
        assert alarms_in(tmp_path / f"alarms-{partition}.jsonl") == expected
        assert [notice for notice in printed if notice.get("partition") == partition] == expected
        assert len(expected) > 3
    summaries = [each["summary"] for each in printed if "summary" in each]
    assert [summary["partition"] for summary in summaries] == [*range(PARTITIONS)]
    assert sum(summary["sequences"] for summary in summaries) == 150
    assert "in partition 0" not in ran.out


def test_people_see_the_partition_of_an_incident(
    watch_topic: Any, broker: Noida, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    odd = [{"key": "s1", "event": event} for event in ("stop", "boom", "boom")]
    produce(broker.address, topic, ((None, json.dumps(event).encode()) for event in odd), 1)
    ran = watch_topic(topic, "--end", "--false-alarms", "10%")
    assert ran.out.splitlines()[0].endswith("\tincident 1 in partition 1")
    assert "partition 1: 3 events, 1 sequences evaluated" in ran.err
    assert "partition 0: 0 events" in ran.err


@pytest.mark.slow
def test_a_stopped_watch_continues_with_other_partitions_in_other_processes(
    watch_topic: Any, broker: Noida, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic, whole = new_topic(PARTITIONS), new_topic(PARTITIONS)
    sent = events(150)
    produce(broker.address, topic, sent[:300])
    for partitions in ("0-3", "0,3"):
        watch_topic(topic, "--partitions", partitions)
    produce(broker.address, topic, sent[300:])
    for partitions in ("1-3", "0"):
        watch_topic(topic, "--partitions", partitions, "--end")
    divided = [(tmp_path / f"alarms-{partition}.jsonl").read_bytes() for partition in range(PARTITIONS)]
    for path in tmp_path.glob("alarms-*.jsonl"):
        path.unlink()
    produce(broker.address, whole, sent)
    watch_topic(whole, "--end")
    assert [(tmp_path / f"alarms-{p}.jsonl").read_bytes() for p in range(PARTITIONS)] == divided


@pytest.mark.slow
def test_a_partition_is_watched_by_one_process(
    watch_topic: Any, broker: Noida, new_topic: NewTopic, process: Any, watching: Path, tmp_path: Path
) -> None:
    topic = new_topic(2)
    address = f"kafka://{broker.address}/{topic}"
    where = ["--group", "group", "--state", tmp_path / "states", "--partitions", "1", "--follow"]
    other = process("watch", "run", watching, address, *where, stderr=subprocess.DEVNULL)
    lock = tmp_path / "states" / f"{topic}-1.db.lock"
    end = time.monotonic() + 60
    while not lock.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    refused = watch_topic(topic)
    assert refused.code == 2
    assert f"another process is using {tmp_path / 'states' / f'{topic}-1.db'}" in refused.err
    assert "give each process partitions of its own with --partitions" in refused.err
    assert watch_topic(topic, "--partitions", "0").code == 0
    other.terminate()
    assert other.wait(60) == 0


def test_a_key_in_two_partitions_is_reported_once(
    watch_topic: Any, broker: Noida, new_topic: NewTopic
) -> None:
    topic = new_topic(3)
    for partition in range(3):
        lines = (json.dumps({"key": "s1", "event": "start"}).encode() for _ in range(2))
        produce(broker.address, topic, ((None, line) for line in lines), partition)
    ran = watch_topic(topic)
    assert ran.err.count("the key 's1' has open sequences in the partitions") == 1
    assert "let the producers choose the partition of a message by this key" in ran.err


def test_a_key_in_the_partition_of_another_process_is_reported(
    watch_topic: Any, broker: Noida, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    for partition in range(2):
        produce(broker.address, topic, [(None, b'{"key": "s1", "event": "start"}')], partition)
    assert "has open sequences" not in watch_topic(topic, "--partitions", "0").err
    ran = watch_topic(topic, "--partitions", "1")
    assert f"the key 's1' has open sequences in the partitions 1 and 0 of {topic}" in ran.err


def test_keys_that_stay_in_their_partitions_are_not_reported(
    watch_topic: Any, broker: Noida, new_topic: NewTopic
) -> None:
    topic = new_topic(PARTITIONS)
    produce(broker.address, topic, events(30)[:100])
    assert "has open sequences" not in watch_topic(topic).err


def test_poison_messages_are_counted_and_the_others_watched(
    watch_topic: Any, broker: Noida, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic, sent = new_topic(1), events(60)
    poison = [b"\x00\x01\xff" * 50, None, b"", b"{", b'{"key": "\xff\xfe"}', b"x" * 2_000_000, b"[" * 50_000]
    mixed: list[tuple[str, bytes | None]] = [*sent]
    for place, value in enumerate(poison):
        mixed.insert(20 * place, ("poison", value))
    produce(broker.address, topic, mixed)
    ran = watch_topic(topic, "--end", "--json")
    (summary,) = [each["summary"] for each in map(json.loads, ran.out.splitlines()) if "summary" in each]
    assert summary["records"] == len(sent)
    assert (summary["unparsable"], summary["cut_lines"]) == (5, 1)
    found = {
        (alarm["key"], alarm["p_value"]) for alarm in alarms_in(tmp_path / "alarms-0.jsonl") if "key" in alarm
    }
    (tmp_path / "alarms-0.jsonl").unlink()
    clean = new_topic(1)
    produce(broker.address, clean, sent)
    watch_topic(clean, "--end")
    assert found == judged(tmp_path / "alarms-0.jsonl")


def test_only_poison_is_an_error(watch_topic: Any, broker: Noida, new_topic: NewTopic) -> None:
    topic = new_topic(2)
    produce(broker.address, topic, [(None, b"{"), (None, b"{")], 1)
    ran = watch_topic(topic)
    assert ran.code == 2
    assert f"expected events in kafka://{broker.address}/{topic}, found none" in ran.err


@pytest.fixture
def address(broker: Noida, new_topic: NewTopic) -> str:
    """The address of an empty topic with one partition."""
    return f"kafka://{broker.address}/{new_topic(1)}"


WHOLE = ["--group", "group", "--state", "states"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (WHOLE[2:], "expected the name of a group"),
        (["--group", "", *WHOLE[2:]], "expected the name of a group, got ''"),
        (["--group", "a\tb", *WHOLE[2:]], "expected the name of a group"),
        (["--group", "a\udcff", *WHOLE[2:]], "expected the name of a group"),
        (WHOLE[:2], "expected a folder for the state"),
        ([*WHOLE, "--partitions", "9"], "expected partitions from 0 to 0, got 9"),
        ([*WHOLE, "--kafka-config", "none"], "cannot read none"),
        ([*WHOLE, "--alarms-topic", "redis://localhost/a"], "expected a topic of Kafka for the alarms"),
    ],
)
def test_options_that_are_missing_or_wrong_are_refused(
    options: list[str],
    message: str,
    onward: Command,
    watching: Path,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = onward("watch", "run", watching, address, *options)
    assert ran.code == 2
    assert message in ran.err
    assert "hint:" in ran.err


@pytest.mark.parametrize("option", ["--group", "--partitions"])
def test_options_of_streams_are_refused_for_files(option: str, onward: Command, watching: Path) -> None:
    ran = onward("watch", "run", watching, "a.log", option, "0")
    assert ran.code == 2
    assert f"{option} is only for streams" in ran.err


def test_a_detector_of_csv_cannot_read_a_topic(
    watch_topic: Any, onward: Command, broker: Noida, new_topic: NewTopic, tmp_path: Path
) -> None:
    rows = [f"s{number},{event}" for number in range(200) for event in ("start", "read", "stop")]
    (tmp_path / "normal.csv").write_text("\n".join(["key,event", *rows]))
    model = tmp_path / "csv.onward"
    options = ["--key", "key", "--event", "event", "--steps", "4", "--held-out", "50%"]
    assert onward("watch", "learn", tmp_path / "normal.csv", "-o", model, *options).code == 0
    ran = watch_topic(new_topic(1), model=model)
    assert ran.code == 2
    assert "the detector reads CSV" in ran.err


class TestAlarmsTopic:
    def test_it_has_the_notices_of_all_partitions_in_order(
        self, watch_topic: Any, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        topic, alarms = new_topic(PARTITIONS), new_topic(2)
        produce(broker.address, topic, events(100))
        watch_topic(topic, "--end", "--alarms-topic", f"kafka://{broker.address}/{alarms}")
        found = [json.loads(value) for p in range(2) for value in content(broker.address, alarms, p)]
        for partition in range(PARTITIONS):
            expected = alarms_in(tmp_path / f"alarms-{partition}.jsonl")
            assert [notice for notice in found if notice["partition"] == partition] == expected
        assert len(found) > 10

    def test_notices_that_a_killed_run_left_are_written_by_the_next_one(
        self, watch_topic: Any, broker: Noida, new_topic: NewTopic, tmp_path: Path
    ) -> None:
        topic, alarms = new_topic(1), new_topic(1)
        produce(broker.address, topic, events(60))
        watch_topic(topic, "--end")
        left = alarms_in(tmp_path / "alarms-0.jsonl")[3:]
        with sqlite3.connect(tmp_path / "states" / f"{topic}-0.db") as state:  # as a kill leaves it
            state.execute("update notices set delivered = 0 where number > 3")
        watch_topic(topic, "--alarms-topic", f"kafka://{broker.address}/{alarms}")
        assert [json.loads(value) for value in content(broker.address, alarms, 0)] == left
        assert left

    def test_a_topic_that_does_not_exist_is_an_error(
        self, watch_topic: Any, broker: Noida, new_topic: NewTopic
    ) -> None:
        ran = watch_topic(new_topic(1), "--alarms-topic", f"kafka://{broker.address}/none")
        assert ran.code == 2
        assert f"there is no topic none at {broker.address}" in ran.err

    def test_the_topic_that_is_watched_is_refused(self, watch_topic: Any, broker: Noida) -> None:
        ran = watch_topic("web", "--alarms-topic", f"kafka://{broker.address}/web")
        assert ran.code == 2
        assert "the alarms would be written to the topic that is watched" in ran.err


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, whose watches run in processes of their own."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("watch_kafka")


@pytest.mark.slow
def test_watches_that_are_killed_raise_the_alarms_of_undisturbed_ones(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    found = benchmark.compare(tmp_path, kills=4, sessions=900, seed=1)
    assert found["equal"], found
    assert found["same_bytes"]
    assert found["alarms"] > 20
    assert found["missing"] == found["repeated_or_extra"] == 0


@pytest.mark.slow
def test_a_broker_that_restarts_and_a_topic_that_is_deleted(
    watching: Path, process: Any, tmp_path: Path
) -> None:
    """One clear line for each, and the alarms of an undisturbed watch."""
    sent, halves = events(200), (300, 600)
    with Noida(tmp_path) as broker:
        for topic in ("whole", "web"):
            broker.create(topic, 2)

        def watch(topic: str, *options: str) -> subprocess.Popen[bytes]:
            address, folder = f"kafka://{broker.address}/{topic}", tmp_path / topic
            folder.mkdir(exist_ok=True)
            where = ["--group", topic, "--state", folder, "--alarms", folder / "alarms.jsonl"]
            return process("watch", "run", watching, address, *where, *options, stdout=subprocess.DEVNULL)

        def wait_for(count: int) -> None:
            """Waits until the watch has read this many messages."""
            end = time.monotonic() + 60
            while sum(_read_so_far(tmp_path / "web" / f"web-{p}.db") for p in range(2)) < count:
                assert time.monotonic() < end
                time.sleep(0.2)

        watched = watch("web", "--follow")
        for first, last in ((0, halves[0]), (halves[0], halves[1]), (halves[1], len(sent))):
            if first:
                broker.stop()
                time.sleep(2)
                broker.start()
            produce(broker.address, "web", sent[first:last])
            wait_for(last)
        broker.delete("web")
        said = watched.communicate(timeout=90)[1].decode()
        assert watched.returncode == 2
        assert said.count("error: the topic web was deleted; all that was read of it is in the state") == 1
        assert said.count("cannot read web at") == said.count("can be read again") == 2
        assert "Traceback" not in said
        produce(broker.address, "whole", sent)
        assert watch("whole", "--no-end").wait(60) == 3
    for partition in range(2):
        name = f"alarms-{partition}.jsonl"
        assert alarms_in(tmp_path / "web" / name) == alarms_in(tmp_path / "whole" / name)
        assert len(alarms_in(tmp_path / "web" / name)) > 3


def _read_so_far(state: Path) -> int:
    """Returns the place in a partition that a state holds."""
    if state.exists():
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as database,
        ):
            found = database.execute("select value from facts where name = 'position'").fetchone()
            return json.loads(found[0])["offset"] if found else 0
    return 0
