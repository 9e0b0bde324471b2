"""Does a watch raise the same alarms if it is killed repeatedly while its log grows and is rotated?

    python benchmarks/watch_faults.py [--kills 20] [--sessions 3000]

A process follows a log that is written and rotated at the same time, as logrotate does: older files get the
next number, files from number 2 on are compressed, and the log is alternately renamed, or copied and
truncated. The process is killed with SIGKILL at random moments; the next one continues from the state. The
alarms and incidents in the file of `--alarms` are compared with those of one undisturbed run over the same
lines.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from record import command_line, record

LONGEST_LIFE = 1.0
LINES_BETWEEN_ROTATIONS = 1500


def run_child(model: Path, log: Path, state: Path, alarms: Path, follow: bool) -> None:
    """Runs in the child process: starts or continues a watch."""
    from onward.watch.datasets import parser_for  # noqa: PLC0415
    from onward.watch.detector import Detector  # noqa: PLC0415
    from onward.watch.input import tail  # noqa: PLC0415 - the parent needs none of it
    from onward.watch.stream.delivery import AlarmDelivery  # noqa: PLC0415
    from onward.watch.stream.monitor import Monitor  # noqa: PLC0415
    from onward.watch.stream.runner import Runner, open_lines  # noqa: PLC0415
    from onward.watch.stream.store import opened_store  # noqa: PLC0415

    tail.QUIET_SECONDS = 0.3
    detector = Detector.load(model)
    with opened_store(state) as store:
        monitor = Monitor(detector, store, in_memory=20)  # so that most sequences are on disk
        lines = open_lines(str(log), store, follow=follow, notify=lambda text: print(text, file=sys.stderr))
        delivery = AlarmDelivery(store, lambda alarm: None, alarms)
        runner = Runner(monitor, parser_for(detector), lines, delivery, end=not follow)
        print("ready", flush=True)
        runner.run()


def learn(path: Path) -> None:
    """Learns a detector of synthetic sessions."""
    from onward.watch.input.format import InputFormat  # noqa: PLC0415
    from onward.watch.training import LearnSettings, learn_detector  # noqa: PLC0415

    chance = random.Random(0)
    source = InputFormat(form="csv", key="key", event=("event",), time="time").to_json()
    described = {"reader": source | {"form": "jsonl"}, "templates": None}
    learning = LearnSettings(held_out=0.5, steps=100, rate=0.02)
    learn_detector([session(chance) for _ in range(1000)], learning, source=described).save(path)


def session(chance: random.Random) -> list[str]:
    """Returns the events of a normal session."""
    middle = ["read" if chance.random() < 0.7 else "write" for _ in range(chance.randrange(2, 6))]
    return ["start", *middle, "sync", "stop"]


def lines_of(sessions: int) -> list[str]:
    """Returns events of interleaved sessions, ten seconds apart; one session in ten is anomalous."""
    chance, waiting, begun, lines = random.Random(1), list(range(sessions)), [], []
    anomalous = (["start", "stop"], ["start", "boom", "stop"], ["stop", "read", "start"])
    while waiting or begun:
        if waiting and len(begun) < 100:
            events = chance.choice(anomalous) if chance.random() < 0.1 else session(chance)
            begun.append((waiting.pop(0), list(events)))
        number, events = begun[chance.randrange(len(begun))]
        lines.append(json.dumps({"key": f"s{number}", "event": events.pop(0), "time": 10.0 * len(lines)}))
        if not events:
            begun.remove((number, events))
    return lines


def write(log: Path, lines: list[str], seconds: float) -> None:
    """Writes a log within about this time, in pieces that may end within a line, and rotates it."""
    chance, rotation = random.Random(2), 0
    for start in range(0, len(lines), 50):
        part = "".join(f"{line}\n" for line in lines[start : start + 50])
        cut = chance.randrange(len(part))
        for piece in (part[:cut], part[cut:]):
            with log.open("a") as file:
                file.write(piece)
            time.sleep(seconds * 25 / len(lines))
        if (start + 50) % LINES_BETWEEN_ROTATIONS == 0:
            rotation += 1
            rotate(log, rotation, copy=rotation % 2 == 0)


def rotate(log: Path, rotation: int, *, copy: bool) -> None:
    """Does the rotation of this number as logrotate does with `delaycompress`."""
    names = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, rotation + 1))]
    for name, next_name in zip(names[-2:0:-1], names[:1:-1], strict=True):
        for ending in ("", ".gz"):
            with suppress(FileNotFoundError):
                name.with_name(name.name + ending).rename(next_name.with_name(next_name.name + ending))
    if copy:
        shutil.copy(log, names[1])
        os.truncate(log, 0)
    else:
        log.rename(names[1])
    if rotation > 1:
        subprocess.run(["gzip", names[2]], check=True)


def start(*arguments: object) -> subprocess.Popen[str]:
    """Starts a watching process."""
    command = [sys.executable, __file__, "--live", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(child: subprocess.Popen[str]) -> str:
    """Waits for a process and returns its messages."""
    _, said = child.communicate()
    if child.returncode:
        raise SystemExit(f"a watch ended with {child.returncode}: {said}")
    return said


def notices_in(path: Path) -> list[str]:
    """Returns alarms and closed incidents without their numbers, which depend on the order of reading."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    alarms = [notice for notice in found if notice["type"] == "alarm"]
    openings = {a["incident"]: f"{a['key']} {a['began']}" for a in alarms if a["repeats"] == 0}
    return sorted(
        [
            f"{a['key']} {a['began']} {a['number']} {a['p_value']} {a['ended']} {openings[a['incident']]}"
            for a in alarms
        ]
        + [
            f"closed {i['cause']} {i['alarms']} {i['keys']} {i['first']} {i['last']}"
            for i in found
            if i["type"] == "incident"
        ]
    )


def compare(folder: Path, kills: int, sessions: int, seed: int = 0) -> dict[str, Any]:
    """Compares the alarms of an undisturbed run with those of one that is killed repeatedly."""
    model, lines, chance = folder / "small.onward", lines_of(sessions), random.Random(seed)
    learn(model)
    whole, log = folder / "whole" / "a.log", folder / "killed" / "a.log"
    for path in (whole, log):
        path.parent.mkdir()
    whole.write_text("".join(f"{line}\n" for line in lines))
    ended(start(model, whole, folder / "whole.db", folder / "whole.jsonl", ""))
    killed = (model, log, folder / "killed.db", folder / "killed.jsonl")
    writer = threading.Thread(target=write, args=(log, lines, 2.5 * kills))
    said = ""
    for life in range(kills):
        child = start(*killed, "follow")
        assert child.stdout
        if life == 0 or chance.random() > 0.1:
            child.stdout.readline()
        if life == 0:
            writer.start()
        time.sleep(chance.uniform(0, LONGEST_LIFE))
        child.send_signal(signal.SIGKILL)
        said += child.communicate()[1]
    writer.join()
    time.sleep(0.5)
    said += ended(start(*killed, ""))
    undisturbed, found = notices_in(folder / "whole.jsonl"), notices_in(folder / "killed.jsonl")
    return {
        "equal": undisturbed == found,
        "kills": kills,
        "lines": len(lines),
        "rotations": len(list(log.parent.glob("a.log.*"))),
        "alarms": sum(not notice.startswith("closed") for notice in undisturbed),
        "incidents": sum(notice.startswith("closed") for notice in undisturbed),
        "missing": len(set(undisturbed) - set(found)),
        "repeated_or_extra": len(found) - len(set(found) & set(undisturbed)),
        "lines_reported_lost": "lost" in said,
    }


def main() -> None:
    options = command_line(__doc__)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--sessions", type=int, default=3000)
    options.add_argument("--live", nargs=5, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.live:
        *paths, follow = asked.live
        run_child(*map(Path, paths), follow=bool(follow))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), asked.kills, asked.sessions)
    record("watch_faults", found)
    if not found["equal"]:
        raise SystemExit("the alarms differ")


if __name__ == "__main__":
    main()
