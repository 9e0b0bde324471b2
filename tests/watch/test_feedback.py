from pathlib import Path

import pytest

from onward.data.vocabulary import END
from onward.errors import InputError
from onward.watch.detector import Detector
from onward.watch.feedback import mark_normal
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.store import WatchStore

STRANGE = ["start", "write", "sync", "read", "stop"]


def test_what_is_forgiven_is_learned_and_nothing_is_forgotten(detector: Detector, tmp_path: Path) -> None:
    found = mark_normal(detector, STRANGE, "x")
    assert found.before.flagged
    assert found.before.key == "x"
    assert found.after.p_value > found.before.p_value
    assert not found.after.flagged
    assert found.after.features["new"] == 0
    before, after = found.replay_bits
    assert after < before + 0.2
    assert found.steps > 0
    assert detector.judge([STRANGE])[0].p_value == found.before.p_value  # the old one is as it was
    assert len(found.detector.calibration.scores) == len(detector.calibration.scores) + 1
    normal = ["start", "read", "read", "sync", "stop"]
    assert not found.detector.judge([normal])[0].flagged
    assert found.detector.judge([["stop"]])[0].flagged
    found.detector.save(tmp_path / "new.onward")
    assert not Detector.load(tmp_path / "new.onward").judge([STRANGE])[0].flagged


def test_of_an_open_sequence_what_came_is_learned_and_not_that_it_ends_there(detector: Detector) -> None:
    events = ["start", "write", "sync", "read"]  # `sync` and `read` never follow one another
    whole = mark_normal(detector, events, "x", ended=True).detector
    found = mark_normal(detector, events, "x", ended=False)
    assert found.before.flagged and found.before.p_value <= detector.rate
    assert not found.after.flagged
    assert (found.before.features["new"], found.after.features["new"]) == (1, 0)
    read = detector.alphabet.id("read")
    assert not detector.profile.is_new(detector.alphabet.id("sync"), detector.alphabet.id("stop"))
    assert whole.profile.is_new(read, END) < found.detector.profile.is_new(read, END)
    assert not found.detector.profile.is_new(detector.alphabet.id("sync"), read)
    assert len(found.detector.profile.counts) == len(detector.profile.counts)
    assert found.detector.calibration.scores.tolist() == detector.calibration.scores.tolist()
    ends = [one.score_events(events)[-1].bits for one in (detector, found.detector, whole)]
    assert ends[1] > ends[2]  # whoever was told that it ends expects it more


def test_what_is_said_twice_is_learned_once(detector: Detector, tmp_path: Path) -> None:
    first = mark_normal(detector, STRANGE, "x", began=7)
    first.detector.save(tmp_path / "new.onward")
    known = Detector.load(tmp_path / "new.onward")
    again = mark_normal(known, STRANGE, "x", began=7)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.detector is known
    assert again.before == again.after
    assert again.after.p_value == pytest.approx(first.after.p_value)
    other = mark_normal(known, STRANGE, "x", began=8)  # the key has come again
    assert not other.repeated
    assert len(other.detector.calibration.scores) == len(detector.calibration.scores) + 2


@pytest.mark.parametrize("events", [[], ["start", "boom", "boom", "stop"]])
def test_what_it_has_no_symbol_for_is_refused(events: list[str], detector: Detector) -> None:
    with pytest.raises(InputError, match="that the detector knows") as caught:
        mark_normal(detector, events)
    assert "learn again" in caught.value.hint
    assert not events or "'boom' as event 2 of 4" in str(caught.value)


def test_a_watch_goes_on_with_the_new_detector(detector: Detector, tmp_path: Path) -> None:
    new = mark_normal(detector, STRANGE).detector
    for one in (detector, new, new):
        store = WatchStore(tmp_path / "watch.db")
        Monitor(one, store).commit()
        store.close()
