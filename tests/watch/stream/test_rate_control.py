"""Rate control keeps the number of incidents, whatever the stream does."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.errors import InputError
from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.features import Verdict
from onward.watch.stream.alarm_budget import AlarmBudget
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.rate_control import CLEAR, CLEAR_SHARE, STEP, RateControl
from onward.watch.stream.store import WatchStore

RATE = 0.03
"""That of the detector of these tests."""

NORMAL = ["start", "read", "write", "sync", "stop"]
KINDS = ["start", "read", "write", "sync", "stop"]
QUIET = 50.0


def opened(scores: np.ndarray, rate: float) -> np.ndarray:
    """What each score counts, one after the other, with 2.0 as the threshold of the calibration.

    0: it opens no incident; 1: it opens one; CLEAR_SHARE: it does so, and is a clear outlier.
    """
    control, found = RateControl(2.0, rate), []
    for place, score in enumerate(scores.tolist()):
        progress = float(place)
        opens = score > control.threshold and control.allows(score, progress)
        clear = score > control.threshold + control.raised_at(progress) + CLEAR
        found.append((CLEAR_SHARE if clear else 1.0) if opens else 0.0)
        if opens:
            control = control.after_incident(score, progress)
    return np.array(found)


class TestTheThreshold:
    @given(st.lists(st.floats(0, 40), min_size=1, max_size=300), st.sampled_from([0.001, 0.01, 0.1]))
    def test_the_bound_holds_for_any_stream(self, scores: list[float], rate: float) -> None:
        rise = max(0.0, max(scores) - 2.0)
        assert opened(np.array(scores), rate).sum() <= rate * len(scores) + rise / STEP + 1 + 1e-9

    @pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, 20.0])
    def test_after_a_shift_the_rate_returns(self, shift: float) -> None:
        rng = np.random.default_rng(0)
        before, after = rng.exponential(2.2, (2, 20_000)) - 8.0  # one in a hundred is above 2
        found = opened(np.concatenate([before, after + shift]), 0.01) > 0
        assert 0.006 < found[:20_000].mean() <= 0.0115
        assert found[25_000:].mean() == pytest.approx(0.01, abs=0.003)

    def test_a_few_per_cent_of_clear_anomalies_are_not_hidden(self) -> None:
        rng = np.random.default_rng(1)
        scores = rng.exponential(1.0, 20_000) - 3.0
        scores[::50] = 16.0
        assert (opened(scores, 0.001)[::50] > 0).all()

    @given(st.lists(st.floats(0, 40), min_size=1, max_size=300))
    def test_in_a_budget_all_incidents_count(self, scores: list[float]) -> None:
        control, found = RateControl(2.0, 0.01, "seconds"), 0
        for place, score in enumerate(scores):
            if score > control.threshold and control.allows(score, float(place)):
                control, found = control.after_incident(score, float(place)), found + 1
        assert found <= 0.01 * len(scores) + max(0.0, max(scores) - 2.0) / STEP + 1 + 1e-9

    def test_a_quiet_stream_does_not_make_the_detector_more_sensitive(self) -> None:
        control = RateControl(2.0, 0.1).after_incident(2.5, 0.0)
        assert control.raised_at(1.0) == pytest.approx(STEP * 0.9)
        assert control.raised_at(100_000.0) == 0.0
        assert control.after_incident(2.5, 100_000.0).raised_at(100_000.0) == STEP


def sessions(count: int, share: float, seed: int = 0, seconds: float = 10.0) -> list[Record]:
    """Returns records of sessions that follow each other. A share of them are shuffled and repeat events.

    Each kind of trouble is one of many, so most of them are incidents of their own.
    """
    chance, found = random.Random(seed), list[Record]()
    for i in range(count):
        events = NORMAL
        if chance.random() < share:
            events = [chance.choice(KINDS) for _ in range(chance.randrange(3, 20))]
        for j, event in enumerate(events):
            number = len(found) + 1
            found.append(
                Record(f"s{i}", event, i * seconds, f"{event} of s{i}", number, j == len(events) - 1)
            )
    return found


def interleaved(seed: int, count: int = 300) -> list[Record]:
    """Returns records of a few keys at whole seconds. Sequences end by `last` or by silence."""
    chance, seconds, found = random.Random(seed), 0.0, list[Record]()
    for number in range(1, count + 1):
        seconds += chance.choice([0.0, 0.0, 1.0, 5.0, QUIET if chance.random() < 0.1 else 1.0])
        event = chance.choices([*KINDS, "boom"], [1, 6, 4, 2, 2, 0.02])[0]
        key = f"k{chance.randrange(12)}"
        found.append(Record(key, event, seconds, f"{event} of {key}", number, chance.random() < 0.1))
    return found


def incidents_of(alarms: Sequence[Alarm]) -> int:
    return sum(alarm.is_news for alarm in alarms)


class TestAWatch:
    @pytest.mark.slow
    def test_the_bound_holds_while_normal_behaviour_changes(self, detector: Detector) -> None:
        scores = list[float]()

        def note(_: int, verdict: Verdict) -> None:
            scores.append(verdict.score)

        monitor = Monitor(detector, idle=QUIET, on_verdict=note)
        alarms = monitor.feed(sessions(600, 0.7)) + monitor.end()
        flagged = sum(score > detector.calibration.threshold(RATE) for score in scores)
        rise = max(scores) - detector.calibration.threshold(RATE)
        assert incidents_of(alarms) <= RATE * 600 + rise / STEP + 1
        assert flagged > 3 * incidents_of(alarms) > 30
        assert monitor.counts.suppressed > 100
        assert monitor.counts.suppressed + monitor.counts.flagged_ended == flagged

    def test_it_is_told_once_what_suppression_means(self, detector: Detector, tmp_path: Path) -> None:
        messages = list[str]()
        records = sessions(400, 0.7)
        for part in (records[:1500], records[1500:]):
            store = WatchStore(tmp_path / "watch.db")
            monitor = Monitor(detector, store, idle=QUIET, notify=messages.append)
            monitor.feed(part)
            monitor.commit()
            store.close()
        (message,) = [message for message in messages if message.startswith("rate control")]
        assert "the detector flags more sequences than the false-alarm rate of 0.03 allows" in message
        assert "learn a new detector" in message

    def test_a_calm_stream_says_nothing_of_it(self, detector: Detector) -> None:
        messages = list[str]()
        monitor = Monitor(detector, idle=QUIET, notify=messages.append)
        monitor.feed(sessions(300, 0.02))
        assert messages == []

    def test_alarms_that_join_an_incident_are_not_limited(self, detector: Detector) -> None:
        records = [
            Record(f"s{i}", event, float(i), event, i, last=event == "stop")
            for i in range(500)
            for event in ("start", "boom", "stop")
        ]
        monitor = Monitor(detector, idle=QUIET)
        alarms = monitor.feed(records)
        assert (len(alarms), incidents_of(alarms), monitor.counts.suppressed) == (500, 1, 0)

    def test_the_most_unusual_sequences_are_reported_after_a_change_too(self, detector: Detector) -> None:
        monitor = Monitor(detector, idle=QUIET, learns=False)
        monitor.feed(sessions(300, 0.7))
        wild = ["panic", "flush", "evict", "halt"] * 20
        alarms = monitor.feed(
            [Record("wild", event, 3000.0, event, 10_000 + i, i == 79) for i, event in enumerate(wild)]
        )
        assert [(alarm.key, alarm.is_news) for alarm in alarms] == [("wild", True)]

    def test_deep_logs_rule_is_not_limited(self, detector: Detector) -> None:
        monitor = Monitor(detector.with_rate(top_k=1), idle=QUIET)
        monitor.feed(sessions(100, 0.7))
        assert monitor.counts.suppressed == 0
        assert monitor.counts.flagged > 80


def limited(
    detector: Detector,
    records: Sequence[Record],
    sizes: Callable[[], int],
    path: Path,
    budget: AlarmBudget | None,
) -> tuple[object, ...]:
    """Returns the alarms, the counts and the stored events of records that are fed in parts.

    Each part goes to a monitor of its own, which continues from the last commit.
    """
    place, alarms = 0, list[Alarm]()
    while place < len(records):
        store = WatchStore(path)
        monitor = Monitor(detector, store, idle=QUIET, budget=budget, in_memory=3)
        size = sizes()
        alarms += monitor.feed(records[place : place + size])
        place += size
        if place >= len(records):
            alarms += monitor.end()
        monitor.commit()
        monitor.feed(records[place : place + 5])  # not committed
        store.close()
    store = WatchStore(path)
    counts = Monitor(detector, store, idle=QUIET, budget=budget).counts
    events = {(alarm.key, alarm.began): store.flagged(alarm.key, alarm.began) for alarm in alarms}
    store.close()
    facts = [
        (a.number, a.key, a.began, a.line_number, a.ended, round(a.p_value, 6), a.membership) for a in alarms
    ]
    return facts, counts, events


@pytest.mark.parametrize("budget", [None, AlarmBudget(60.0, "hour")])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_alarms_do_not_depend_on_how_records_are_divided_or_on_restarts(
    seed: int, budget: AlarmBudget | None, detector: Detector, tmp_path: Path
) -> None:
    records, chance = interleaved(seed), random.Random(seed)
    whole = limited(detector, records, lambda: len(records), tmp_path / "whole.db", budget)
    parts = limited(detector, records, lambda: chance.randrange(1, 20), tmp_path / "parts.db", budget)
    assert parts == whole


class TestABudget:
    @pytest.mark.slow
    def test_the_number_of_incidents_per_time_is_kept(self, detector: Detector) -> None:
        """A hundred days with a session every two hours, most of them troubled: one incident a day."""
        monitor = Monitor(detector, idle=1000.0, budget=AlarmBudget(1.0, "day"))
        alarms = monitor.feed(sessions(100 * 12, 0.7, seconds=7200.0))
        days = np.array([alarm.time or 0.0 for alarm in alarms if alarm.is_news]) / 86_400
        assert 25 < (days > 50).sum() < 100
        assert monitor.counts.suppressed > 400

    def test_records_without_times_are_refused(self, detector: Detector) -> None:
        monitor = Monitor(detector, budget=AlarmBudget(3.0, "day"))
        with pytest.raises(InputError, match="a budget of 3/day needs records with times") as caught:
            monitor.feed([Record("a", "start", None, "start", 7)])
        assert "--false-alarms" in caught.value.hint

    def test_deep_logs_rule_has_no_budget(self, detector: Detector) -> None:
        with pytest.raises(InputError, match="and has no score"):
            Monitor(detector.with_rate(top_k=3), budget=AlarmBudget(3.0, "day"))

    @pytest.mark.slow
    def test_a_change_of_the_unit_begins_at_the_calibration(self, detector: Detector, tmp_path: Path) -> None:
        store = WatchStore(tmp_path / "watch.db")
        monitor = Monitor(detector, store, idle=QUIET)
        monitor.feed(sessions(300, 0.7))
        monitor.commit()
        before = monitor.counts.incidents
        monitor = Monitor(detector, store, idle=QUIET, budget=AlarmBudget(1e9, "hour"))
        alarms = monitor.feed(
            [
                r._replace(number=r.number + 10_000, time=(r.time or 0.0) + 3000.0)
                for r in sessions(50, 0.7, 1)
            ]
        )
        assert before and incidents_of(alarms) > 10
        store.close()

    @pytest.mark.parametrize(
        ("text", "per_day"), [("3/day", 3), ("0.5/hour", 12), ("7/week", 1), (" 2 / day ", 2)]
    )
    def test_it_is_written_as_a_number_per_time(self, text: str, per_day: float) -> None:
        assert AlarmBudget.parse(text).per_second * 86_400 == pytest.approx(per_day)

    @pytest.mark.parametrize("text", ["3", "0/day", "-1/day", "3/month", "day", "nan/day", "1e3/day", ""])
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(
            InputError, match="expected a number of incidents per hour, day or week"
        ) as caught:
            AlarmBudget.parse(text)
        assert "3/day" in caught.value.hint
