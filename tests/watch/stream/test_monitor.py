"""The monitor raises the alarms of the detector, through interleaving, silence, wrong clocks and restarts."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from onward.artefact import Artefact
from onward.errors import ArtefactError, InputError
from onward.model import LanguageModel
from onward.watch.detector import Detector
from onward.watch.input.records import Record, group_by_key
from onward.watch.scoring.features import Verdict
from onward.watch.scoring.online import OnlineScorer
from onward.watch.scoring.open_sequence import OpenSequence
from onward.watch.stream.alarm_budget import AlarmBudget
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.store import WatchStore, flagged_in

Records = Callable[..., list[Record]]


def alarms_of(monitor: Monitor, records: list[Record], size: int = 10**9) -> list[Alarm]:
    """Returns the alarms of records that are fed in parts of a size."""
    alarms: list[Alarm] = []
    for start in range(0, len(records), size):
        alarms += monitor.feed(records[start : start + size])
        monitor.commit()
    return alarms


def facts(alarms: Iterable[Alarm]) -> set[tuple[object, ...]]:
    """Returns the fields of alarms without their rounding errors."""
    return {
        (a.key, a.began, a.line_number, a.line, a.ended, round(a.p_value, 6), a.main_feature) for a in alarms
    }


def at(seconds: float, key: str, event: str, number: int = 1) -> Record:
    return Record(key, event, float(seconds), f"{event} of {key}", number)


@pytest.mark.parametrize("top_k", [None, 2])
def test_the_flagged_sequences_are_those_of_the_detector(
    top_k: int | None, detector: Detector, records: Records
) -> None:
    detector = detector.with_rate(top_k=top_k)
    stream = records(150)
    monitor = Monitor(detector, budget=None if top_k else AlarmBudget(1e9, "hour"))
    alarms = alarms_of(monitor, stream)
    sequences = group_by_key(stream)
    verdicts = detector.judge([s.events for s in sequences], [s.key for s in sequences])
    assert sorted(alarm.key for alarm in alarms) == sorted(v.key for v in verdicts if v.flagged)
    assert len(alarms) > 10
    assert monitor.counts.suppressed == 0
    by_key = {verdict.key: verdict for verdict in verdicts}
    for alarm in alarms:
        if alarm.ended or top_k:
            continue
        assert alarm.p_value >= by_key[alarm.key].p_value - 1e-9


def test_some_alarms_are_raised_before_the_end(detector: Detector, records: Records) -> None:
    stream = records(100)
    alarms = alarms_of(Monitor(detector), stream)
    early = [alarm for alarm in alarms if not alarm.ended]
    assert early
    for alarm in early:
        assert alarm.line == stream[alarm.line_number - 1].line
        assert alarm.event
        assert alarm.event.event == stream[alarm.line_number - 1].event


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batch_size_and_memory_do_not_change_the_alarms(
    size: int, detector: Detector, records: Records
) -> None:
    stream = records(60)
    whole = facts(alarms_of(Monitor(detector), stream))
    assert facts(alarms_of(Monitor(detector, in_memory=2), stream, size)) == whole


@pytest.mark.parametrize("seed", range(3))
def test_a_monitor_continues_from_the_last_commit(
    seed: int, detector: Detector, records: Records, tmp_path: Path
) -> None:
    stream, chance = records(60, seed=seed), random.Random(seed)
    unbroken = Monitor(detector)
    whole = facts(alarms_of(unbroken, stream))
    place, alarms = 0, []
    while place < len(stream):
        store = WatchStore(tmp_path / "watch.db")
        monitor = Monitor(detector, store, in_memory=3)
        place = store.fact("place") or 0
        for _ in range(chance.randrange(1, 5)):
            size = chance.randrange(40)
            found = monitor.feed(stream[place : place + size])
            place += size
            monitor.commit(place=place)
            alarms += found
        monitor.feed(stream[place : place + chance.randrange(20)])  # not committed
        store.close()
    assert facts(alarms) == whole
    assert len(alarms) == len(whole)
    store = WatchStore(tmp_path / "watch.db")
    notices = [notice for notice in store.outbox() if isinstance(notice, Alarm)]
    assert notices == [Alarm.from_json(alarm.to_json()) for alarm in alarms]
    assert [alarm.number for alarm in alarms] == list(range(1, len(whole) + 1))
    last = Monitor(detector, store)
    assert last.counts == unbroken.counts
    assert last.drift.to_json()["bets"][0]["blocks"] == unbroken.drift.to_json()["bets"][0]["blocks"]


def test_an_idle_sequence_ends(detector: Detector) -> None:
    monitor = Monitor(detector, idle=100.0)
    assert monitor.feed([at(0, "a", "start")]) == []
    assert monitor.feed([at(50, "b", "start")]) == []
    alarms = monitor.feed([at(101, "b", "read")])
    assert [(alarm.key, alarm.ended) for alarm in alarms] == [("a", True)]
    assert alarms[0].event
    assert alarms[0].event.event == "<end>"
    assert monitor.in_flight == 1


def test_a_sequence_ends_after_twice_the_longest_pause_in_training(detector: Detector) -> None:
    detector = replace(detector, source=detector.source | {"longest_pause": 50.0})
    monitor = Monitor(detector)
    monitor.feed([at(0, "a", "start"), at(50, "b", "start")])
    assert monitor.feed([at(99, "b", "read")]) == []
    alarms = monitor.feed([at(107, "b", "read")])
    assert [(alarm.key, alarm.ended) for alarm in alarms] == [("a", True)]


def test_a_quiet_night_is_no_jump_of_a_clock(detector: Detector) -> None:
    warnings = list[str]()
    detector = replace(detector, source=detector.source | {"longest_pause": 1.0})
    monitor = Monitor(detector, notify=warnings.append)
    monitor.feed([at(0, "a", "start")])
    alarms = monitor.feed([at(3000, "b", "start")])
    assert [alarm.key for alarm in alarms] == ["a"]
    assert not monitor.odd_times
    assert not warnings


def test_a_record_after_a_long_time_begins_a_new_sequence(detector: Detector) -> None:
    monitor = Monitor(detector, idle=100.0)
    monitor.feed([at(0, "a", "start", 1)])
    assert monitor.feed([at(1000, "a", "start", 2)]) == []  # a clock may be wrong
    alarms = monitor.feed([at(1000 + i, "b", "read", 3 + i) for i in range(7)])
    assert [(alarm.key, alarm.began) for alarm in alarms if alarm.ended] == [("a", 1)]
    assert monitor.in_flight == 2


def test_a_record_after_a_long_wait_begins_a_new_sequence_at_once(detector: Detector) -> None:
    monitor = Monitor(detector, idle=100.0)
    monitor.feed([at(0, "a", "start", 1)])
    monitor.wait(70.0)
    alarms = monitor.feed([at(150, "a", "start", 2)])
    assert [(alarm.key, alarm.began) for alarm in alarms] == [("a", 1)]
    assert monitor.odd_times == 0


def test_a_record_in_doubt_is_read_if_none_follows(detector: Detector) -> None:
    monitor = Monitor(detector, idle=100.0)
    monitor.feed([at(0, "a", "start", 1), at(0, "b", "start", 2), at(1000, "a", "start", 3)])
    assert monitor.wait(5.0) == []
    assert [(alarm.key, alarm.began) for alarm in monitor.wait(5.0)] == [("a", 1)]
    assert monitor.in_flight == 2
    monitor.feed([at(1, "b", "read", 4), at(5000, "b", "stop", 5)])
    monitor.end()
    assert (monitor.in_flight, monitor.counts.records, monitor.counts.sequences) == (0, 5, 4)


def lengths(detector: Detector, records: list[Record], size: int, store: Path | None = None) -> list[int]:
    """Returns the lengths of sequences whose records are fed in parts, each to a new monitor."""
    found: list[int] = []
    for start in range(0, len(records), size):
        opened = WatchStore(store)
        monitor = Monitor(
            detector, opened, idle=100.0, on_verdict=lambda _, verdict: found.append(verdict.length)
        )
        monitor.feed(records[start : start + size])
        if start + size >= len(records):
            monitor.end()
        monitor.commit()
        opened.close()
    return sorted(found)


@pytest.mark.parametrize("size", [3, 1000])
def test_sequences_after_a_silence_are_complete(size: int, detector: Detector, tmp_path: Path) -> None:
    """Four days with ten sessions each, of the same keys, and the nights between them."""
    hours = [
        at(day * 1e5 + step * 10 + key, f"k{key}", "read")
        for day in range(4)
        for step in range(5)
        for key in range(10)
    ]
    assert lengths(detector, hours, size, tmp_path / "watch.db") == [5] * 40


@pytest.mark.parametrize("size", [3, 1000])
@pytest.mark.parametrize("odd", [4e9, -4e9])
def test_a_wrong_clock_ends_no_sequence(size: int, odd: float, detector: Detector, tmp_path: Path) -> None:
    records = [at(step * 10 + key, f"k{key}", "read") for step in range(5) for key in range(10)]
    for number in (7, 20, 21, 33):
        records[number] = records[number]._replace(time=odd + number * 1000)
    assert lengths(detector, records, size, tmp_path / "watch.db") == [5] * 10


def test_a_machine_whose_clock_is_always_wrong_ends_no_sequence(detector: Detector) -> None:
    records = [
        at(step * 10 + key + (3e7 if key == 3 else 0), f"k{key}", "read")
        for step in range(5)
        for key in range(10)
    ]
    assert lengths(detector, records, 1000) == [5] * 10


def test_a_wrong_clock_is_reported_once(detector: Detector) -> None:
    messages: list[str] = []
    monitor = Monitor(detector, idle=100.0, notify=messages.append)
    monitor.feed([at(i, key, "start") for i, key in enumerate("abcdefgh")])
    odd = [at(4e9, "a", "read"), at(9, "b", "read"), at(-4e9, "c", "read"), at(10, "a", "read")]
    assert not [alarm for alarm in monitor.feed(odd) if alarm.ended]
    assert monitor.in_flight == 8
    assert monitor.odd_times == 2
    assert len(messages) == 1
    assert "clock" in messages[0]


def test_a_clock_that_is_set_back_takes_no_time(detector: Detector) -> None:
    monitor = Monitor(detector, idle=100.0)
    monitor.feed([at(1000, "a", "start"), at(1001, "b", "start")])
    monitor.feed([at(i, "a", "read") for i in range(20)])
    assert monitor.in_flight == 2
    ended = monitor.feed([at(20 + i, "a", "read") for i in range(100)])
    assert "b" in [alarm.key for alarm in ended]


@pytest.mark.parametrize("timed", [True, False])
def test_waiting_ends_idle_sequences(timed: bool, detector: Detector) -> None:
    monitor = Monitor(detector, idle=100.0)
    monitor.feed([at(0, "a", "start")._replace(time=0.0 if timed else None)])
    assert monitor.wait(60.0) == []
    assert [alarm.key for alarm in monitor.wait(60.0)] == ["a"]
    assert monitor.in_flight == 0


def test_end_ends_all_open_sequences(detector: Detector, records: Records) -> None:
    stream = [record._replace(last=False) for record in records(30)]
    monitor = Monitor(detector)
    alarms = alarms_of(monitor, stream) + monitor.end()
    assert facts(alarms) == facts(alarms_of(Monitor(detector), stream)) | facts(
        alarm for alarm in alarms if alarm.ended
    )
    assert monitor.counts.sequences == 30
    assert monitor.counts.flagged == monitor.counts.flagged_ended == len(alarms)


def test_the_events_of_flagged_sequences_are_stored(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    monitor = Monitor(detector, WatchStore(path))
    events = ["start", "boom", "read", "sync", "stop"]
    alarms = monitor.feed([at(i, "x", event, i) for i, event in enumerate(events)])
    alarms += monitor.feed([at(5, "quiet", "start", 5)])
    assert [alarm.ended for alarm in alarms] == [False]
    monitor.commit()
    assert flagged_in(path, "x") == (events[:2], 0, False)
    with pytest.raises(InputError, match="an open sequence has this key, but no alarm"):
        flagged_in(path, "quiet")
    monitor.end()
    monitor.commit()
    assert flagged_in(path, "x") == (events, 0, True)
    with pytest.raises(InputError, match="no sequence with the key 'y' was flagged"):
        flagged_in(path, "y")


def test_the_store_of_another_model_is_refused(detector: Detector, tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    Monitor(detector, store).commit()
    torch.manual_seed(1)
    other = LanguageModel(detector.model.config).eval()
    artefact = Artefact(other, detector.artefact.vocabulary)
    stranger = Detector(
        artefact,
        detector.vocabulary,
        detector.profile,
        detector.mixture,
        detector.calibration,
        detector.baselines,
    )
    with pytest.raises(ArtefactError, match="another detector") as caught:
        Monitor(stranger, store)
    assert "--state" in caught.value.hint


def test_unreadable_lines_are_counted_across_restarts(detector: Detector, tmp_path: Path) -> None:
    for expected in (2, 4):
        store = WatchStore(tmp_path / "watch.db")
        monitor = Monitor(detector, store)
        monitor.feed([], unparsable=2)
        monitor.commit()
        assert monitor.counts.unparsable == expected
        store.close()


def mixed_records(seed: int, count: int = 200) -> list[Record]:
    """Returns records of few keys, whose sequences end by `last` or by a pause, several times each."""
    chance, seconds, found = random.Random(seed), 0.0, list[Record]()
    for number in range(1, count + 1):
        seconds += 150.0 if chance.random() < 0.01 else 1.0
        event = chance.choices(["start", "read", "write", "boom", "stop"], [1, 6, 4, 0.2, 1])[0]
        record = at(seconds, f"k{chance.randrange(3)}", event, number)
        found.append(record._replace(last=chance.random() < 0.1))
    return found


def note(verdicts: dict[int, tuple[str, int, float]], began: int, verdict: Verdict) -> None:
    verdicts[began] = (verdict.key, verdict.length, round(verdict.p_value, 6))


@pytest.mark.parametrize("seed", range(4))
def test_sequences_of_one_key_that_follow_each_other_are_those_of_single_records(
    seed: int, detector: Detector
) -> None:
    stream, found = mixed_records(seed), []
    for size in (1, 13, len(stream)):
        verdicts: dict[int, tuple[str, int, float]] = {}
        monitor = Monitor(
            detector,
            idle=100.0,
            in_memory=2,
            on_verdict=partial(note, verdicts),
        )
        alarms = alarms_of(monitor, stream, size) + monitor.end()
        events = {alarm.began: monitor.store.flagged(alarm.key, alarm.began) for alarm in alarms}
        found.append((facts(alarms), verdicts, monitor.counts, events))
    assert found[1:] == found[:1] * 2
    assert len(found[0][1]) > 15


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.slow
def test_a_long_run_of_one_key_takes_few_steps(
    last: bool, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[int]()
    observe = OnlineScorer.observe

    def counted(scorer: OnlineScorer, sequences: list[OpenSequence], runs: list[list[str]]) -> object:
        calls.append(len(sequences) * len(runs[0]))
        return observe(scorer, sequences, runs)

    monkeypatch.setattr(OnlineScorer, "observe", counted)
    events = ["read", "write"] * 2500
    monitor = Monitor(detector, learns=False)
    monitor.feed([at(n, "one", event, n)._replace(last=last) for n, event in enumerate(events, 1)])
    assert sum(calls) == len(events)
    assert len(calls) < 10
    assert monitor.in_flight == (not last)


def test_idle_sequences_end_some_at_a_time_in_the_order_of_their_last_records(detector: Detector) -> None:
    ended = list[int]()
    monitor = Monitor(
        detector, idle=100.0, in_memory=3, ends_at_once=4, on_verdict=lambda began, _: ended.append(began)
    )
    monitor.feed([at(n // 2, f"k{n}", "start", n) for n in range(1, 11)])
    counts = list[int]()
    monitor.wait(1000.0)
    while monitor.has_idle:
        counts.append(monitor.in_flight)
        monitor.wait(0.0)
    assert counts == [6, 2]
    assert monitor.in_flight == 0
    assert ended == [*range(1, 11)]
