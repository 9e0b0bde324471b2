"""Feedback: a detector learns a sequence that it flagged."""

from contextlib import closing
from pathlib import Path

import pytest

from onward.data.vocabulary import END
from onward.errors import InputError
from onward.watch.detector import Detector
from onward.watch.feedback import mark_normal
from onward.watch.input.records import Record
from onward.watch.stream.monitor import Monitor, MonitorCounts
from onward.watch.stream.store import WatchStore

UNUSUAL = ["start", "write", "sync", "read", "stop"]


def test_a_sequence_that_is_marked_as_normal_is_learned_and_nothing_is_forgotten(
    detector: Detector, tmp_path: Path
) -> None:
    feedback = mark_normal(detector, UNUSUAL, "x")
    assert feedback.before.flagged
    assert feedback.before.key == "x"
    assert feedback.after.p_value > feedback.before.p_value
    assert not feedback.after.flagged
    assert feedback.after.features["new"] == 0
    assert len(feedback.detector.calibration.scores) == len(detector.calibration.scores) + 1
    assert not feedback.detector.judge([["start", "read", "read", "sync", "stop"]])[0].flagged
    assert feedback.detector.judge([["stop"]])[0].flagged
    feedback.detector.save(tmp_path / "new.onward")
    assert not Detector.load(tmp_path / "new.onward").judge([UNUSUAL])[0].flagged


def test_the_given_detector_does_not_change(detector: Detector) -> None:
    before = detector.judge([UNUSUAL])
    mark_normal(detector, UNUSUAL)
    assert detector.judge([UNUSUAL]) == before


def test_only_the_prefix_of_an_open_sequence_is_learned(detector: Detector) -> None:
    events = ["start", "sync", "sync", "read"]  # in training, `read` and `sync` never follow `sync`
    sync, read, stop = map(detector.vocabulary.id, ("sync", "read", "stop"))
    whole = mark_normal(detector, events, "x", ended=True).detector
    feedback = mark_normal(detector, events, "x", ended=False)
    prefix = feedback.detector
    assert feedback.before.flagged
    assert feedback.before.p_value <= detector.rate
    assert not feedback.after.flagged
    assert (feedback.before.features["new"], feedback.after.features["new"]) == (3, 0)
    assert not detector.profile.is_new(sync, stop)
    assert not prefix.profile.is_new(sync, read)
    assert prefix.profile.is_new(read, END)
    assert not whole.profile.is_new(read, END)
    assert len(prefix.profile.counts) == len(detector.profile.counts)
    assert prefix.calibration.scores.tolist() == detector.calibration.scores.tolist()
    after_prefix, after_whole = (one.score_events(events)[-1].bits for one in (prefix, whole))
    assert after_prefix > after_whole  # the end is less expected if it was not learned


def test_a_sequence_that_is_marked_twice_is_learned_once(detector: Detector, tmp_path: Path) -> None:
    first = mark_normal(detector, UNUSUAL, "x", began=7)
    first.detector.save(tmp_path / "new.onward")
    known = Detector.load(tmp_path / "new.onward")
    again = mark_normal(known, UNUSUAL, "x", began=7)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.detector is known
    assert again.before == again.after
    assert again.after.p_value == pytest.approx(first.after.p_value)


def test_the_next_sequence_of_the_same_key_is_learned_too(detector: Detector) -> None:
    first = mark_normal(detector, UNUSUAL, "x", began=7)
    other = mark_normal(first.detector, UNUSUAL, "x", began=8)
    assert not other.repeated
    assert len(other.detector.calibration.scores) == len(detector.calibration.scores) + 2


def test_an_event_that_was_never_seen_is_learned(detector: Detector, tmp_path: Path) -> None:
    events = ["start", "boom", "boom", "stop"]
    learned = mark_normal(detector, events)
    assert learned.before.flagged
    assert not learned.after.flagged
    learned.detector.save(tmp_path / "new.onward")
    again = Detector.load(tmp_path / "new.onward")
    other, unknown = again.judge([events, ["start", "bang", "bang", "stop"]])
    assert not other.flagged
    assert other.score == pytest.approx(learned.after.score)
    assert unknown.flagged
    assert mark_normal(again, ["start", "bang", "stop"]).detector.vocabulary.later == ("boom", "bang")


def test_a_sequence_without_events_is_refused(detector: Detector) -> None:
    with pytest.raises(InputError, match="expected events to learn from, got none"):
        mark_normal(detector, [])


def test_a_watch_continues_with_the_new_detector(detector: Detector, tmp_path: Path) -> None:
    new = mark_normal(detector, UNUSUAL).detector

    def watch(detector: Detector, *records: tuple[str, str]) -> tuple[list[tuple[int, str]], MonitorCounts]:
        """Continues the watch. Returns the numbers and keys of its new alarms, and its counts."""
        with closing(WatchStore(tmp_path / "watch.db")) as store:
            monitor = Monitor(detector, store)
            begun = monitor.counts.records
            found = [
                Record(key, event, float(number), event, number, event == "stop")
                for number, (key, event) in enumerate(records, begun + 1)
            ]
            alarms = monitor.feed(found)
            monitor.commit()
            return [(alarm.number, alarm.key) for alarm in alarms], monitor.counts

    unusual = [("a", event) for event in UNUSUAL]
    begun, rest = [("b", event) for event in UNUSUAL[:2]], [("b", event) for event in UNUSUAL[2:]]
    assert watch(detector, *unusual, *begun)[0] == [(1, "a")]
    alarms, counts = watch(new, *rest)  # the open sequence ends, and is normal by now
    assert (alarms, counts.records, counts.sequences, counts.flagged) == ([], 10, 2, 1)
    alarms, counts = watch(new, ("c", "start"), ("c", "boom"), ("c", "stop"))
    assert (alarms, counts.records, counts.sequences, counts.flagged) == ([(2, "c")], 13, 3, 2)
