"""How many messages a second does a watch read from a topic, and does a kill lose or repeat an alarm?

    python benchmarks/watch_kafka.py [--messages 60000] [--kills 20] [--sessions 3000] [--busy]

The broker is Tansu on this machine, which keeps topics in memory. It is not Apache Kafka.

Speed: the same JSON lines from a file, from a topic by one process, and from a topic by two processes at once
(with a partition and a state each). The time is that of reading, without the start of the process.

Kills: two processes follow four partitions while these are written. Both are killed with SIGKILL at random
moments, and started again. The alarms and incidents are compared with those of one undisturbed run, and of
four processes. --busy notes that other programs ran on the machine.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brokers import Tansu, produce
from record import command_line, record
from watch_faults import learn, lines_of, notices_in

LONGEST_LIFE = 6.0
"""Seconds before a process is killed; it takes some seconds to start."""

PARTITIONS = 4
TOPIC = "events"


def measure(model: Path, source: str, partition: int, state: Path) -> dict[str, Any]:
    """Watches a file, or one partition of a topic, to its end. Runs in a process of its own."""
    from onward.scale.address import is_stream, parse_address  # noqa: PLC0415 - the parent needs none of it
    from onward.scale.kafka.topic import KafkaTopic  # noqa: PLC0415
    from onward.watch.datasets import parser_for  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415
    from onward.watch.stream.delivery import AlarmDelivery  # noqa: PLC0415
    from onward.watch.stream.monitor import Monitor  # noqa: PLC0415
    from onward.watch.stream.runner import Runner, open_lines  # noqa: PLC0415
    from onward.watch.stream.store import opened_store  # noqa: PLC0415

    detector = Detector.load(model)
    with opened_store(state) as store:
        topic, monitor = None, Monitor(detector, store)
        if is_stream(source):
            topic = KafkaTopic(parse_address(source), state.stem, {}, follows=False, divides=False)
        lines = topic.open(partition, store) if topic else open_lines(source, store)
        runner = Runner(monitor, parser_for(detector), lines, AlarmDelivery(store, lambda notice: None))
        print("ready", flush=True)
        sys.stdin.readline()
        started = time.perf_counter()
        runner.run()
        seconds = time.perf_counter() - started
        if topic:
            topic.close()
    return {"messages": monitor.counts.records, "seconds": seconds, "alarms": monitor.counts.flagged}


def rates(model: Path, source: str, partitions: Sequence[int], folder: Path, name: str) -> list[int]:
    """Returns the messages a second of processes that read a partition each at the same time."""
    command = [sys.executable, __file__, "--live", str(model), source]
    children = [
        subprocess.Popen(
            [*command, str(partition), str(folder / f"{name}-{partition}.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for partition in partitions
    ]
    for child in children:
        assert child.stdout and child.stdout.readline() == "ready\n"
    found: list[int] = []
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        out, _ = child.communicate()
        figures = json.loads(out)
        found.append(round(figures["messages"] / figures["seconds"]))
    return found


def speed(folder: Path, messages: int) -> dict[str, Any]:
    """Measures reading from a file and from a topic."""
    model, log = folder / "small.onward", folder / "a.jsonl"
    learn(model)
    lines = lines_of(messages // 6)
    log.write_text("".join(f"{line}\n" for line in lines))
    with Tansu(folder) as broker:
        broker.create(TOPIC, 2)
        for partition in range(2):
            produce(broker.address, TOPIC, ((None, line.encode()) for line in lines), partition)
        address = f"kafka://{broker.address}/{TOPIC}"
        return {
            "messages": len(lines),
            "from_a_file_per_second": rates(model, str(log), [0], folder, "file")[0],
            "from_a_topic_per_second": rates(model, address, [0], folder, "one")[0],
            "two_processes_per_second": rates(model, address, [0, 1], folder, "two"),
        }


def watch(
    model: Path, address: str, group: str, folder: Path, partitions: str, *more: str
) -> subprocess.Popen[str]:
    """Starts `onward watch run` on some partitions, with the states and the alarms in a folder."""
    command = [sys.executable, "-m", "onward", "watch", "run", str(model), address, "--group", group]
    command += ["--state", str(folder), "--alarms", str(folder / "alarms.jsonl"), "--partitions", partitions]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def watched(folder: Path) -> list[list[str]]:
    """Returns the notices of each partition."""
    return [notices_in(folder / f"alarms-{partition}.jsonl") for partition in range(PARTITIONS)]


def finish(model: Path, address: str, group: str, folder: Path, shares: Sequence[str]) -> list[list[str]]:
    """Watches all partitions to their ends, with a process for each share, and returns the notices."""
    folder.mkdir(exist_ok=True)
    for child in [watch(model, address, group, folder, share, "--end") for share in shares]:
        _, said = child.communicate()
        if child.returncode not in (0, 3):
            raise SystemExit(f"a watch ended with {child.returncode}: {said}")
    return watched(folder)


def write(address: str, lines: Sequence[str], seconds: float) -> None:
    """Writes lines to the topic, in pieces, within about this time. Their keys choose the partitions."""
    for start in range(0, len(lines), 100):
        part = lines[start : start + 100]
        produce(address, TOPIC, ((json.loads(line)["key"], line.encode()) for line in part))
        time.sleep(seconds * 100 / len(lines))


def compare(folder: Path, kills: int, sessions: int, seed: int = 0) -> dict[str, Any]:
    """Compares the alarms of watches that are killed with those of undisturbed ones."""
    model, lines, chance = folder / "small.onward", lines_of(sessions), random.Random(seed)
    learn(model)
    with Tansu(folder) as broker:
        broker.create(TOPIC, PARTITIONS)
        address, killed = f"kafka://{broker.address}/{TOPIC}", folder / "killed"
        killed.mkdir()
        writer = threading.Thread(target=write, args=(broker.address, lines, kills * LONGEST_LIFE / 4))
        writer.start()
        shares = ("0,1", "2,3")
        lives = [watch(model, address, "killed", killed, share, "--follow") for share in shares]
        for kill in range(kills):
            time.sleep(chance.uniform(1, LONGEST_LIFE) / 2)
            lives[kill % 2].send_signal(signal.SIGKILL)
            lives[kill % 2].communicate()
            lives[kill % 2] = watch(model, address, "killed", killed, shares[kill % 2], "--follow")
        for life in lives:
            life.send_signal(signal.SIGKILL)
            life.communicate()
        writer.join()
        found = finish(model, address, "killed", killed, shares)
        undisturbed = finish(model, address, "one", folder / "one", ["0-3"])
        by_four = finish(model, address, "four", folder / "four", ["0", "1", "2", "3"])
    missing = sum(len(set(a) - set(b)) for a, b in zip(undisturbed, found, strict=True))
    repeated = sum(len(b) - len(set(a) & set(b)) for a, b in zip(undisturbed, found, strict=True))
    names = [f"alarms-{partition}.jsonl" for partition in range(PARTITIONS)]
    same = [(folder / "one" / name).read_bytes() == (killed / name).read_bytes() for name in names]
    return {
        "equal": undisturbed == found == by_four,
        "same_bytes": all(same),
        "kills": kills + 2,
        "events": len(lines),
        "alarms": sum(not notice.startswith("closed") for part in undisturbed for notice in part),
        "missing": missing,
        "repeated_or_extra": repeated,
    }


def main() -> None:
    options = command_line(__doc__)
    options.add_argument("--messages", type=int, default=60_000)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--sessions", type=int, default=3000)
    options.add_argument("--busy", action="store_true", help="other programs run on the machine")
    options.add_argument("--live", nargs=4, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.live:
        model, source, partition, state = asked.live
        print(json.dumps(measure(Path(model), source, int(partition), Path(state))))
        return
    with tempfile.TemporaryDirectory() as fast, tempfile.TemporaryDirectory() as slow:
        found = {"busy": asked.busy, "speed": speed(Path(fast), asked.messages)}
        found["faults"] = compare(Path(slow), asked.kills, asked.sessions)
    record("watch_kafka", found)
    if not found["faults"]["equal"]:
        raise SystemExit("the alarms differ")


if __name__ == "__main__":
    main()
