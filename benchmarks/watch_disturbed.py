"""Does a watch report faults of its state, disk, log and clock, without losing an alarm?

    python benchmarks/watch_disturbed.py [--sessions 300]

Each fault really happens, in its own process. The result contains the message on standard error, and whether
the alarms equal those of an undisturbed run over the same log:

    older state    the state file has format 1: it must be refused, and stay unchanged to the byte
    full disk      no file may grow beyond some size (RLIMIT_FSIZE) until the watch ends with an error;
                   then the watch continues without that limit
    corrupt lines  broken JSON, invalid UTF-8, a line of 2 MB and a line of NULs among the others
    clock jumps    one record has a time in 2099, another one in 1970: the alarms must not change
"""

import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import command_line, record
from watch_faults import learn, lines_of

_LIMITS = (40_000, 120_000, 240_000)
"""Largest size of a file in bytes on a full disk: first too small to begin, then too small to finish."""


def watch(model: Path, log: Path, alarms: Path, limit: int = 0) -> tuple[int, list[str]]:
    """Runs `onward watch run` with the state beside the alarms. Returns its exit code and its messages."""

    def limited() -> None:
        if limit:
            signal.signal(
                signal.SIGXFSZ, signal.SIG_IGN
            )  # so that writing fails with an error, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "onward", "watch", "run", str(model), str(log), "--end"]
    command += ["--state", str(alarms.with_suffix(".db")), "--alarms", str(alarms)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, check=False)
    return done.returncode, done.stderr.splitlines()


def alarms_of(path: Path, *, numbers: bool = True) -> list[str]:
    """Returns the alarms without their numbers, and optionally without line numbers, which may differ."""
    names = ("key", "p_value", "ended", *(("began", "number") if numbers else ()))
    if not path.exists():
        return []
    found = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return sorted(json.dumps([each[name] for name in names]) for each in found if each["type"] == "alarm")


def older_state(model: Path, log: Path, folder: Path) -> dict[str, Any]:
    """Runs with a state of format 1."""
    path = folder / "older.db"
    watch(model, log, path.with_suffix(".jsonl"))
    with sqlite3.connect(path) as database:
        database.execute("pragma user_version = 1")
    database.close()
    before, alarms = path.read_bytes(), alarms_of(path.with_suffix(".jsonl"))
    code, said = watch(model, log, path.with_suffix(".jsonl"))
    kept = path.read_bytes() == before and alarms_of(path.with_suffix(".jsonl")) == alarms
    return {"exit_code": code, "message": _message(said, "format"), "unchanged": kept}


def full_disk(model: Path, log: Path, folder: Path, whole: list[str]) -> dict[str, Any]:
    """Runs with a disk that is full at several times, and then has space again."""
    path, said, codes = folder / "full.jsonl", list[str](), list[int]()
    for limit in _LIMITS:
        code, lines = watch(model, log, path, limit)
        codes.append(code)
        said += lines
    code, _ = watch(model, log, path)
    found = {"exit_codes": codes, "message": _message(said, "cannot write"), "exit_code_with_room": code}
    return found | {"same_alarms": alarms_of(path) == whole, "alarms": len(whole)}


def corrupt_lines(model: Path, log: Path, folder: Path, whole: list[str]) -> dict[str, Any]:
    """Runs with lines that are not records among the others."""
    broken = [b'{"key": "s1", "event"', b'{"key": "\xff\xfe"', b"x" * 2_000_000, b"\0" * 100, b"[1, 2]"]
    chance, lines = random.Random(3), log.read_bytes().splitlines()
    for line in broken:
        lines.insert(chance.randrange(len(lines)), line)
    other = folder / "corrupt.log"
    other.write_bytes(b"\n".join(lines) + b"\n")
    path = folder / "corrupt.jsonl"
    code, said = watch(model, other, path)
    return {
        "exit_code": code,
        "broken": len(broken),
        "message": _message(said, "could not be read"),
        "same_alarms": alarms_of(path, numbers=False) == whole,
    }


def clock_jumps(model: Path, log: Path, folder: Path, whole: list[str]) -> dict[str, Any]:
    """Runs with two records that have impossible times."""
    lines = log.read_text(encoding="utf-8").splitlines()
    jumped: list[int] = []
    for place, time in ((len(lines) // 3, 4_070_908_800.0), (len(lines) // 2, 0.0)):
        lines[place] = json.dumps(json.loads(lines[place]) | {"time": time})
        jumped.append(place + 1)
    other = folder / "clock.log"
    other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "clock.jsonl"
    code, said = watch(model, other, path)
    return {
        "exit_code": code,
        "lines_with_wrong_times": ", ".join(map(str, jumped)),
        "message": _message(said, "clock"),
        "same_alarms": alarms_of(path, numbers=False) == whole,
    }


def _message(said: list[str], about: str) -> str:
    """Returns the first message about something."""
    return next((line.strip()[:200] for line in said if about in line), "nothing")


def main() -> None:
    options = command_line(__doc__)
    options.add_argument("--sessions", type=int, default=300)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, log, path = folder / "small.onward", folder / "a.log", folder / "whole.jsonl"
        learn(model)
        base = 1_700_000_000.0
        records = map(json.loads, lines_of(asked.sessions))
        lines = [json.dumps(line | {"time": base + line["time"]}) for line in records]
        log.write_text("\n".join(lines) + "\n", encoding="utf-8")
        watch(model, log, path)
        whole, unnumbered = alarms_of(path), alarms_of(path, numbers=False)
        found = {
            "lines": len(lines),
            "alarms": len(whole),
            "older_state": older_state(model, log, folder),
            "full_disk": full_disk(model, log, folder, whole),
            "corrupt_lines": corrupt_lines(model, log, folder, unnumbered),
            "clock_jumps": clock_jumps(model, log, folder, unnumbered),
        }
    record("watch_disturbed", found)
    if not (
        whole and all(found[name]["same_alarms"] for name in ("full_disk", "corrupt_lines", "clock_jumps"))
    ):
        raise SystemExit("the alarms differ")


if __name__ == "__main__":
    main()
