import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from onward.errors import CorpusError, InputError, WriteError
from onward.watch.datasets import parser_for
from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.stream.alarms import AlarmFile, alarm_line
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.runner import Runner
from onward.watch.stream.store import WatchStore

Records = Callable[..., list[Record]]


@pytest.fixture
def log(tmp_path: Path, records: Records) -> Path:
    """A CSV file of 80 sessions, with a line that is broken and one that is no UTF-8."""
    path = tmp_path / "a.csv"
    rows = [f"{r.key},{r.event},{r.time}".encode() for r in records(80)]
    rows.insert(20, b"only one cell")
    rows.insert(30, b"\xff\xfe,start,12")
    path.write_bytes(b"\xef\xbb\xbfkey,event,time\r\n" + b"\r\n".join(rows))
    return path


def watch(
    detector: Detector,
    log: Path,
    folder: Path,
    deliver: Callable[[str], None] = lambda _: None,
    **how: object,
) -> Monitor:
    """One run over a file, whose state and alarms are in the folder."""
    store = WatchStore(folder / "watch.db")
    watcher = Monitor(detector, store)
    reader = parser_for(detector)
    try:
        Runner(watcher, reader, str(log), deliver, alarm_file=folder / "alarms.jsonl", **how).run()
    finally:
        store.close()
    return watcher


def alarms_in(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "alarms.jsonl").read_text().splitlines()]


def test_each_alarm_is_delivered_once_over_runs(detector: Detector, log: Path, tmp_path: Path) -> None:
    told: list[str] = []
    content = log.read_bytes()
    for end in (0, 100, 555, 556, 2000, len(content)):
        log.write_bytes(content[:end])
        watcher = watch(detector, log, tmp_path, told.append, end=end == len(content))
    assert [json.loads(line) for line in told] == alarms_in(tmp_path)
    assert [alarm["alarm"] for alarm in alarms_in(tmp_path)] == list(range(1, len(told) + 1))
    assert watcher.counts.unparsable == 1
    assert watcher.in_flight == 0
    (tmp_path / "whole").mkdir()
    whole = watch(detector, log, tmp_path / "whole", end=True)
    assert whole.counts == watcher.counts
    shown = [
        {(a["key"], a["began"], a["number"]) for a in alarms_in(f)} for f in (tmp_path, tmp_path / "whole")
    ]
    assert shown[0] == shown[1]
    assert len(told) > 10


def test_a_delivery_that_fails_is_made_good(detector: Detector, log: Path, tmp_path: Path) -> None:
    def fail(alarm: str) -> None:
        if json.loads(alarm)["alarm"] == 3:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        watch(detector, log, tmp_path, fail, end=True)
    first = alarms_in(tmp_path)
    told: list[str] = []
    watch(detector, log, tmp_path, told.append, end=True)
    assert alarms_in(tmp_path)[: len(first)] == first
    numbers = [alarm["alarm"] for alarm in alarms_in(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [json.loads(line)["alarm"] for line in told] == numbers  # once more on standard output


def test_columns_are_known_in_the_midst_of_a_file_and_after_a_rotation(
    detector: Detector, log: Path, tmp_path: Path
) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:100]))
    watch(detector, log, tmp_path)
    log.rename(log.with_name("a.csv.1"))
    log.write_bytes(lines[0].removeprefix(b"\xef\xbb\xbf") + b"".join(lines[100:]))
    watcher = watch(detector, log, tmp_path, end=True)
    assert watcher.counts.unparsable == 1
    assert watcher.counts.records == len(lines) - 2


def test_columns_are_known_whatever_line_they_stood_in(detector: Detector, log: Path, tmp_path: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"\n\xef\xbb\xbf\r\n" + b"".join(lines[:100]))
    watch(detector, log, tmp_path)
    log.write_bytes(log.read_bytes() + b"".join(lines[100:]))
    watcher = watch(detector, log, tmp_path, end=True)
    assert watcher.counts.unparsable == 1
    assert watcher.counts.records == len(lines) - 2


def test_a_rotated_file_names_its_columns_anew(detector: Detector, log: Path, tmp_path: Path) -> None:
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"".join(line + b"\r\n" for line in lines[:100]))
    watch(detector, log, tmp_path)
    log.rename(log.with_name("a.csv.1"))
    turned = (b",".join(reversed(line.split(b","))) + b"\n" for line in lines[100:])
    log.write_bytes(b"time,event,key\n" + b"".join(turned))
    watcher = watch(detector, log, tmp_path, end=True)
    assert watcher.counts.records == len(lines) - 2
    (tmp_path / "whole").mkdir()
    log.write_bytes(b"\n".join(lines))
    watch(detector, log, tmp_path / "whole", end=True)
    first, second = ([(a["key"], a["p_value"]) for a in alarms_in(f)] for f in (tmp_path, tmp_path / "whole"))
    assert sorted(first) == sorted(second)


def test_a_row_of_several_lines_goes_on_after_a_restart(
    detector: Detector, log: Path, tmp_path: Path
) -> None:
    log.write_bytes(b'key,event,time\n"s\n')
    assert watch(detector, log, tmp_path).counts.records == 0
    log.write_bytes(log.read_bytes() + b'1",start,2\n"s2\n')
    watcher = watch(detector, log, tmp_path)
    assert (watcher.counts.records, watcher.counts.unparsable) == (1, 0)
    store = WatchStore(tmp_path / "watch.db")
    assert store.keys() == ["s\n1"]
    store.close()
    watcher = watch(detector, log, tmp_path, end=True)
    assert (watcher.counts.records, watcher.counts.unparsable) == (1, 1)


def test_a_state_that_has_the_line_of_the_columns_is_gone_on_with(
    detector: Detector, log: Path, tmp_path: Path
) -> None:
    store = WatchStore(tmp_path / "watch.db")
    store.set_fact("header", "key,event,time")
    store.commit()
    store.close()
    log.write_bytes(b"s1,start,1\nkey,event,time\n")
    watcher = watch(detector, log, tmp_path)
    assert (watcher.counts.records, watcher.counts.unparsable) == (1, 0)


@pytest.mark.parametrize("seed", range(10))
def test_the_file_of_alarms_after_a_kill_at_any_byte(seed: int, tmp_path: Path) -> None:
    path, chance = tmp_path / "alarms.jsonl", random.Random(seed)
    alarms = [json.dumps({"alarm": i, "text": "x" * chance.randrange(30)}) for i in range(10)]
    path.write_text("what was there before\n")
    length = AlarmFile(path, None).length
    file = AlarmFile(path, length)
    file.write(alarms)
    os.truncate(path, chance.randrange(length, file.length + 1))  # killed as it wrote
    AlarmFile(path, length).write(alarms)
    assert path.read_text().splitlines() == ["what was there before", *alarms]


def test_a_file_of_alarms_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "alarms.jsonl"
    AlarmFile(path, 1000).write(["one"])
    assert path.read_text() == "one\n"
    path.write_text("longer than was known\n")
    AlarmFile(path, 4).write(["two"])
    assert path.read_text() == "longer than was known\ntwo\n"
    with pytest.raises(WriteError, match="cannot write alarms"):
        AlarmFile(tmp_path / "no" / "alarms.jsonl", None)


def test_what_cannot_be_watched(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file"):
        watch(detector, tmp_path / "none.csv", tmp_path)
    with pytest.raises(InputError, match="ends by itself"):
        Runner(Monitor(detector), parser_for(detector), "-", lambda _: None, follow=True)
    with pytest.raises((CorpusError, InputError)):
        watch(detector, tmp_path, tmp_path)


def test_a_line_holds_no_controls() -> None:
    alarm = {"alarm": 1, "time": None, "key": "k\t", "p_value": 0.001, "ended": True, "number": 3}
    alarm |= {"line": "a\x1b[2J\n", "speaks": "counts", "counts": [{"event": "e", "found": 3, "normal": 1}]}
    reason = "events came too often or too seldom (3 x e, normally 1)"
    assert alarm_line(alarm) == f"-\tk\\t\tp=0.001\t3: a\\x1b[2J\\n\t{reason}"
