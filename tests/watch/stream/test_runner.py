"""Runs: lines of a file become alarms, each delivered once over interrupted runs."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from onward.errors import CorpusError, InputError
from onward.watch.datasets import parser_for
from onward.watch.detector import Detector
from onward.watch.input.format import InputFormat
from onward.watch.input.parsers import make_parser
from onward.watch.input.records import Record
from onward.watch.stream.alarm_budget import AlarmBudget
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.delivery import AlarmDelivery
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.report import report_lines, run_report
from onward.watch.stream.runner import Runner, open_lines, run_all
from onward.watch.stream.store import Notice, WatchStore

Records = Callable[..., list[Record]]


@pytest.fixture
def log(tmp_path: Path, records: Records) -> Path:
    """A CSV file of 80 sessions, with a broken line and one with invalid UTF-8."""
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
    deliver: Callable[[Notice], None] = lambda _: None,
    *,
    end: bool | None = None,
) -> Monitor:
    """Runs once over a file; the state and the alarm file are in the folder."""
    store = WatchStore(folder / "watch.db")
    try:
        monitor, lines = Monitor(detector, store), open_lines(str(log), store)
        delivery = AlarmDelivery(store, deliver, folder / "alarms.jsonl")
        Runner(monitor, parser_for(detector), lines, delivery, end=end).run()
    finally:
        store.close()
    return monitor


def notices_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "alarms.jsonl").read_text().splitlines()]


def alarms_in(folder: Path) -> list[dict[str, Any]]:
    return [notice for notice in notices_in(folder) if notice["type"] == "alarm"]


def test_each_alarm_is_delivered_once_over_several_runs(
    detector: Detector, log: Path, tmp_path: Path
) -> None:
    delivered: list[Notice] = []
    content = log.read_bytes()
    counts, in_flight = None, None
    for end in (0, 100, 555, 556, 2000, len(content)):
        log.write_bytes(content[:end])
        monitor = watch(detector, log, tmp_path, delivered.append, end=end == len(content))
        counts, in_flight = monitor.counts, monitor.in_flight
    assert [notice.to_json() for notice in delivered] == notices_in(tmp_path)
    numbers = [alarm["alarm"] for alarm in alarms_in(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert counts and counts.unparsable == 1
    assert in_flight == 0
    (tmp_path / "whole").mkdir()
    whole = watch(detector, log, tmp_path / "whole", end=True)
    assert whole.counts == counts
    shown = [
        {(a["key"], a["began"], a["number"]) for a in alarms_in(f)} for f in (tmp_path, tmp_path / "whole")
    ]
    assert shown[0] == shown[1]
    assert len(numbers) > 10


def test_the_next_run_repeats_a_failed_delivery(detector: Detector, log: Path, tmp_path: Path) -> None:
    def fail(notice: Notice) -> None:
        if isinstance(notice, Alarm) and notice.number == 3:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        watch(detector, log, tmp_path, fail, end=True)
    first = notices_in(tmp_path)
    delivered: list[Notice] = []
    watch(detector, log, tmp_path, delivered.append, end=True)
    assert notices_in(tmp_path)[: len(first)] == first
    numbers = [alarm["alarm"] for alarm in alarms_in(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [
        each.number for each in delivered if isinstance(each, Alarm)
    ] == numbers  # repeated for the callable, not in the file


def test_columns_are_known_in_the_middle_of_a_file_and_after_a_rotation(
    detector: Detector, log: Path, tmp_path: Path
) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:100]))
    watch(detector, log, tmp_path)
    log.rename(log.with_name("a.csv.1"))
    log.write_bytes(lines[0].removeprefix(b"\xef\xbb\xbf") + b"".join(lines[100:]))
    monitor = watch(detector, log, tmp_path, end=True)
    assert monitor.counts.unparsable == 1
    assert monitor.counts.records == len(lines) - 2


def test_the_header_may_be_in_any_line(detector: Detector, log: Path, tmp_path: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"\n\xef\xbb\xbf\r\n" + b"".join(lines[:100]))
    watch(detector, log, tmp_path)
    log.write_bytes(log.read_bytes() + b"".join(lines[100:]))
    monitor = watch(detector, log, tmp_path, end=True)
    assert monitor.counts.unparsable == 1
    assert monitor.counts.records == len(lines) - 2


def test_a_rotated_file_may_have_another_column_order(detector: Detector, log: Path, tmp_path: Path) -> None:
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"".join(line + b"\r\n" for line in lines[:100]))
    watch(detector, log, tmp_path)
    log.rename(log.with_name("a.csv.1"))
    reversed_rows = (b",".join(reversed(line.split(b","))) + b"\n" for line in lines[100:])
    log.write_bytes(b"time,event,key\n" + b"".join(reversed_rows))
    monitor = watch(detector, log, tmp_path, end=True)
    assert monitor.counts.records == len(lines) - 2
    (tmp_path / "whole").mkdir()
    log.write_bytes(b"\n".join(lines))
    watch(detector, log, tmp_path / "whole", end=True)
    first, second = ([(a["key"], a["p_value"]) for a in alarms_in(f)] for f in (tmp_path, tmp_path / "whole"))
    assert sorted(first) == sorted(second)


def test_a_row_of_several_lines_continues_after_a_restart(
    detector: Detector, log: Path, tmp_path: Path
) -> None:
    log.write_bytes(b'key,event,time\n"s\n')
    assert watch(detector, log, tmp_path).counts.records == 0
    log.write_bytes(log.read_bytes() + b'1",start,2\n"s2\n')
    monitor = watch(detector, log, tmp_path)
    assert (monitor.counts.records, monitor.counts.unparsable) == (1, 0)
    store = WatchStore(tmp_path / "watch.db")
    assert store.keys() == ["s\n1"]
    store.close()
    monitor = watch(detector, log, tmp_path, end=True)
    assert (monitor.counts.records, monitor.counts.unparsable) == (1, 1)


def test_a_source_that_does_not_exist_is_refused_unless_it_is_followed(
    detector: Detector, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=f"expected a file, but there is no {tmp_path / 'none.csv'}"
    ) as caught:
        watch(detector, tmp_path / "none.csv", tmp_path)
    assert "--follow" in caught.value.hint


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize(("name", "kind"), [("folder", "a folder"), ("pipe", "a named pipe")])
def test_a_source_that_is_not_a_file_is_refused(name: str, kind: str, follow: bool, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (
        closing(WatchStore()) as store,
        pytest.raises(InputError, match=f"expected a file, got {kind}") as caught,
    ):
        open_lines(str(tmp_path / name), store, follow=follow)
    assert "give - as the source" in caught.value.hint


def test_a_link_that_is_made_between_two_runs_is_not_followed(tmp_path: Path) -> None:
    """The next run knows from the state where the log was."""
    (tmp_path / "logs").mkdir()
    log, secret = tmp_path / "logs" / "a.csv", tmp_path / "secret"
    log.write_text("one\n")
    secret.write_text("secret\n")
    with closing(WatchStore(tmp_path / "watch.db")) as store:
        lines = open_lines(str(log), store, follow=True)
        assert lines.read() == [b"one"]
        store.commit()
    log.unlink()
    log.symlink_to(secret)
    messages: list[str] = []
    with closing(WatchStore(tmp_path / "watch.db")) as store:
        assert open_lines(str(log), store, follow=True, notify=messages.append).read() == []
        with pytest.raises(InputError, match="outside the folder of the log"):
            open_lines(str(log), store)
        assert open_lines(str(log), store, follow_links=True).read() == [b"secret"]
        assert open_lines(str(secret), store).read() == [b"secret"]  # as the user named it
    assert [message for message in messages if f"{log} leads to {secret}" in message]


def test_standard_input_cannot_be_followed() -> None:
    store = WatchStore()
    with pytest.raises(InputError, match="standard input cannot be followed") as caught:
        open_lines("-", store, follow=True)
    assert "--follow" in caught.value.hint
    store.close()


def test_the_report_counts_the_watch_and_this_run(detector: Detector, log: Path, tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    monitor, parser, lines = Monitor(detector, store), parser_for(detector), open_lines(str(log), store)
    runner = Runner(monitor, parser, lines, AlarmDelivery(store, lambda _: None), end=True)
    assert runner.run() is False
    report = run_report(monitor, runner)
    assert report["records"] == monitor.counts.records
    assert report["flagged"] == report["flagged_now"] == runner.delivered > 10
    assert (report["unparsable"], report["cut_lines"], report["in_flight"]) == (1, 0, 0)
    first, rate, suppressed, unreadable, drift = report_lines(report, parser.unreadable)
    assert first.endswith(
        f"81 sequences evaluated, 0 open, {report['flagged']} flagged in {report['incidents']} incidents"
    )
    assert rate.endswith("false-alarm rate 3.000%")
    assert suppressed == (
        f"flagged sequences suppressed to keep the false-alarm rate: {report['suppressed']}"
    )
    assert unreadable == "1 line could not be read (line 22: expected 3 columns, got 1)"
    assert drift == "no drift detected"
    store.close()


def test_closed_standard_input_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CorpusError, match="standard input is closed") as refused:
        open_lines("-", WatchStore())
    assert "pipe" in refused.value.hint


class Slow:
    """A source that has one record, and then none. Its server may be out of reach."""

    position, truncated = None, 0

    def __init__(self, line: bytes, *, is_at_end: bool, reads: int) -> None:
        self._lines, self._reads, self.is_at_end = [line], reads, is_at_end

    @property
    def ended(self) -> bool:
        return self._reads <= 0

    def read(self) -> list[bytes]:
        self._reads -= 1
        lines, self._lines = self._lines, []
        return lines

    def finish(self) -> list[bytes]:
        return []

    def close(self) -> None: ...


@pytest.mark.parametrize(("is_at_end", "still_open"), [(True, 0), (False, 1)])
def test_time_passes_only_at_the_end_of_a_source(
    detector: Detector, is_at_end: bool, still_open: int
) -> None:
    monitor = Monitor(detector, idle=0.1)
    parser = make_parser(InputFormat(form="jsonl", key="key", event=("event",)))
    lines = Slow(b'{"key": "s1", "event": "start"}', is_at_end=is_at_end, reads=4)
    Runner(monitor, parser, lines, AlarmDelivery(monitor.store, lambda _: None), end=False).run()
    assert monitor.in_flight == still_open


def test_several_sources_take_turns_and_end_together(detector: Detector, tmp_path: Path) -> None:
    monitors, rounds = [Monitor(detector), Monitor(detector)], list[int]()
    parser = make_parser(InputFormat(form="jsonl", key="key", event=("event",)))
    runners = [
        Runner(
            monitor,
            parser,
            Slow(b'{"key": "s1", "event": "start"}', is_at_end=True, reads=reads),
            AlarmDelivery(monitor.store, lambda _: None),
        )
        for monitor, reads in zip(monitors, (2, 4), strict=True)
    ]
    assert run_all(runners, lambda: rounds.append(sum(monitor.in_flight for monitor in monitors))) is False
    assert rounds == [2, 2, 2, 2]  # the open sequences end when the last source has ended
    assert [monitor.counts.sequences for monitor in monitors] == [1, 1]


def test_partitions_share_a_budget(detector: Detector) -> None:
    monitor = Monitor(detector, budget=AlarmBudget.parse("3/day"), partitions=4)
    assert str(monitor.budget) == "0.75/day"
