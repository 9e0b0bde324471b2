import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch

from onward.artefact import Artefact
from onward.errors import ArtefactError, InputError
from onward.model import LanguageModel
from onward.watch.detector import Detector
from onward.watch.input.records import Record, grouped
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.store import WatchStore, flagged_in

Records = Callable[..., list[Record]]


def watched(watcher: Monitor, records: list[Record], size: int = 10**9) -> list[Alarm]:
    """The alarms of records that are fed in parts of a size."""
    alarms: list[Alarm] = []
    for start in range(0, len(records), size):
        alarms += watcher.feed(records[start : start + size])
        watcher.commit()
    return alarms


def facts(alarms: Iterable[Alarm]) -> set[tuple[object, ...]]:
    """What does not hang on rounding."""
    return {(a.key, a.began, a.number, a.line, a.ended, round(a.p_value, 6), a.speaks) for a in alarms}


def at(seconds: float, key: str, event: str, number: int = 1) -> Record:
    return Record(key, event, float(seconds), f"{event} of {key}", number)


@pytest.mark.parametrize("top_k", [None, 2])
def test_it_flags_what_the_detector_flags_when_all_has_ended(
    top_k: int | None, detector: Detector, records: Records
) -> None:
    detector = detector.with_rate(top_k=top_k)
    stream = records(150)
    alarms = watched(Monitor(detector), stream)
    sequences = grouped(stream)
    verdicts = detector.judge([s.events for s in sequences], [s.key for s in sequences])
    assert sorted(alarm.key for alarm in alarms) == sorted(v.key for v in verdicts if v.flagged)
    assert len(alarms) > 10
    by_key = {verdict.key: verdict for verdict in verdicts}
    for alarm in alarms:
        if alarm.ended or top_k:
            continue
        assert alarm.p_value >= by_key[alarm.key].p_value - 1e-9


def test_some_alarms_come_before_the_end(detector: Detector, records: Records) -> None:
    stream = records(100)
    alarms = watched(Monitor(detector), stream)
    early = [alarm for alarm in alarms if not alarm.ended]
    assert early
    for alarm in early:
        assert alarm.line == stream[alarm.number - 1].line
        assert alarm.score is not None
        assert alarm.score.event == stream[alarm.number - 1].event


@pytest.mark.parametrize("size", [1, 7, 100])
def test_neither_batches_nor_memory_change_the_alarms(
    size: int, detector: Detector, records: Records
) -> None:
    stream = records(60)
    whole = facts(watched(Monitor(detector), stream))
    assert facts(watched(Monitor(detector, in_memory=2), stream, size)) == whole


@pytest.mark.parametrize("seed", range(3))
def test_a_watcher_goes_on_from_the_last_commit(
    seed: int, detector: Detector, records: Records, tmp_path: Path
) -> None:
    stream, chance = records(60, seed=seed), random.Random(seed)
    unbroken = Monitor(detector)
    whole = facts(watched(unbroken, stream))
    place, alarms = 0, []
    while place < len(stream):
        store = WatchStore(tmp_path / "watch.db")
        watcher = Monitor(detector, store, in_memory=3)
        place = store.fact("place") or 0
        for _ in range(chance.randrange(1, 5)):
            size = chance.randrange(40)
            found = watcher.feed(stream[place : place + size])
            place += size
            watcher.commit(place=place)
            alarms += found
        watcher.feed(stream[place : place + chance.randrange(20)])  # lost with the process
        store.close()
    assert facts(alarms) == whole
    assert len(alarms) == len(whole)
    store = WatchStore(tmp_path / "watch.db")
    kept = [json.loads(alarm) for _, alarm in store.outbox()]
    assert [alarm["alarm"] for alarm in kept] == list(range(1, len(whole) + 1))
    last = Monitor(detector, store)
    assert last.counts == unbroken.counts
    assert last.drift.to_json()["bets"][0]["blocks"] == unbroken.drift.to_json()["bets"][0]["blocks"]


def test_an_idle_sequence_ends(detector: Detector) -> None:
    watcher = Monitor(detector, idle=100.0)
    assert watcher.feed([at(0, "a", "start")]) == []
    assert watcher.feed([at(50, "b", "start")]) == []
    alarms = watcher.feed([at(101, "b", "read")])
    assert [(alarm.key, alarm.ended) for alarm in alarms] == [("a", True)]
    assert alarms[0].score is not None
    assert alarms[0].score.event == "<end>"
    assert watcher.in_flight == 1


def test_a_record_after_a_long_time_begins_another_sequence(detector: Detector) -> None:
    watcher = Monitor(detector, idle=100.0)
    watcher.feed([at(0, "a", "start", 1)])
    assert watcher.feed([at(1000, "a", "start", 2)]) == []  # perhaps a clock is wrong
    alarms = watcher.feed([at(1000 + i, "b", "read", 3 + i) for i in range(7)])
    assert [(alarm.key, alarm.began) for alarm in alarms if alarm.ended] == [("a", 1)]
    assert watcher.in_flight == 2


def test_a_record_after_a_long_time_that_was_waited_for_begins_another_at_once(detector: Detector) -> None:
    watcher = Monitor(detector, idle=100.0)
    watcher.feed([at(0, "a", "start", 1)])
    watcher.wait(70.0)
    alarms = watcher.feed([at(150, "a", "start", 2)])
    assert [(alarm.key, alarm.began) for alarm in alarms] == [("a", 1)]
    assert watcher.odd_times == 0


def test_a_record_in_doubt_is_read_when_nothing_follows_it(detector: Detector) -> None:
    watcher = Monitor(detector, idle=100.0)
    watcher.feed([at(0, "a", "start", 1), at(0, "b", "start", 2), at(1000, "a", "start", 3)])
    assert watcher.wait(5.0) == []
    assert [(alarm.key, alarm.began) for alarm in watcher.wait(5.0)] == [("a", 1)]
    assert watcher.in_flight == 2
    watcher.feed([at(1, "b", "read", 4), at(5000, "b", "stop", 5)])
    watcher.end()
    assert (watcher.in_flight, watcher.counts.records, watcher.counts.sequences) == (0, 5, 4)


def lengths(detector: Detector, records: list[Record], size: int, store: Path | None = None) -> list[int]:
    """Lengths of the sequences of records, which are watched in parts, each by another watcher."""
    found: list[int] = []
    for start in range(0, len(records), size):
        kept = WatchStore(store)
        watcher = Monitor(detector, kept, idle=100.0, judged=lambda _, verdict: found.append(verdict.length))
        watcher.feed(records[start : start + size])
        if start + size >= len(records):
            watcher.end()
        watcher.commit()
        kept.close()
    return sorted(found)


@pytest.mark.parametrize("size", [3, 1000])
def test_sequences_after_a_silence_are_whole(size: int, detector: Detector, tmp_path: Path) -> None:
    """Three nights, and ten sessions of the same keys on each day between."""
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


def test_a_machine_whose_clock_is_wrong_throughout_ends_no_sequence(detector: Detector) -> None:
    records = [
        at(step * 10 + key + (3e7 if key == 3 else 0), f"k{key}", "read")
        for step in range(5)
        for key in range(10)
    ]
    assert lengths(detector, records, 1000) == [5] * 10


def test_one_wrong_clock_is_told_once(detector: Detector) -> None:
    told: list[str] = []
    watcher = Monitor(detector, idle=100.0, tell=told.append)
    watcher.feed([at(i, key, "start") for i, key in enumerate("abcdefgh")])
    odd = [at(4e9, "a", "read"), at(9, "b", "read"), at(-4e9, "c", "read"), at(10, "a", "read")]
    assert not [alarm for alarm in watcher.feed(odd) if alarm.ended]
    assert watcher.in_flight == 8
    assert watcher.odd_times == 2
    assert len(told) == 1
    assert "clock" in told[0]


def test_a_clock_that_is_set_back_takes_no_time(detector: Detector) -> None:
    watcher = Monitor(detector, idle=100.0)
    watcher.feed([at(1000, "a", "start"), at(1001, "b", "start")])
    watcher.feed([at(i, "a", "read") for i in range(20)])
    assert watcher.in_flight == 2
    ended = watcher.feed([at(20 + i, "a", "read") for i in range(100)])
    assert "b" in [alarm.key for alarm in ended]


@pytest.mark.parametrize("timed", [True, False])
def test_silence_ends_sequences(timed: bool, detector: Detector) -> None:
    watcher = Monitor(detector, idle=100.0)
    watcher.feed([at(0, "a", "start")._replace(time=0.0 if timed else None)])
    assert watcher.wait(60.0) == []
    assert [alarm.key for alarm in watcher.wait(60.0)] == ["a"]
    assert watcher.in_flight == 0


def test_the_end_of_all(detector: Detector, records: Records) -> None:
    stream = [record._replace(last=False) for record in records(30)]
    watcher = Monitor(detector)
    alarms = watched(watcher, stream) + watcher.end()
    assert facts(alarms) == facts(watched(Monitor(detector), stream)) | facts(
        alarm for alarm in alarms if alarm.ended
    )
    assert watcher.counts.sequences == 30
    assert watcher.counts.flagged == watcher.counts.flagged_ended == len(alarms)


def test_the_events_of_what_was_flagged_are_kept(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    watcher = Monitor(detector, WatchStore(path))
    events = ["start", "boom", "read", "sync", "stop"]
    alarms = watcher.feed([at(i, "x", event, i) for i, event in enumerate(events)])
    alarms += watcher.feed([at(5, "quiet", "start", 5)])
    assert [alarm.ended for alarm in alarms] == [False]
    watcher.commit()
    assert flagged_in(path, "x") == (events[:2], 0, False)
    with pytest.raises(InputError, match="the one in flight has raised no alarm"):
        flagged_in(path, "quiet")
    watcher.end()
    watcher.commit()
    assert flagged_in(path, "x") == (events, 0, True)
    with pytest.raises(InputError, match="no sequence of the key 'y' was flagged"):
        flagged_in(path, "y")


def test_the_state_of_another_model_is_refused(detector: Detector, tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    Monitor(detector, store).commit()
    torch.manual_seed(1)
    other = LanguageModel(detector.model.config).eval()
    artefact = Artefact(other, detector.artefact.vocabulary)
    stranger = Detector(
        artefact, detector.alphabet, detector.profile, detector.calibration, detector.baselines
    )
    with pytest.raises(ArtefactError, match="another model") as caught:
        Monitor(stranger, store)
    assert "--state" in caught.value.hint
