from pathlib import Path

import pytest

from onward.errors import InputError
from onward.watch.detector import Detector
from onward.watch.forgive import forgive
from onward.watch.store import WatchStore
from onward.watch.stream import Watcher

STRANGE = ["start", "write", "sync", "read", "stop"]


def test_what_is_forgiven_is_learned_and_nothing_is_forgotten(detector: Detector, tmp_path: Path) -> None:
    found = forgive(detector, STRANGE, "x")
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


@pytest.mark.parametrize("events", [[], ["start", "boom", "stop"]])
def test_what_it_has_no_symbol_for_is_refused(events: list[str], detector: Detector) -> None:
    with pytest.raises(InputError, match="that the detector knows") as caught:
        forgive(detector, events)
    assert "learn again" in caught.value.hint


def test_a_watch_goes_on_with_the_new_detector(detector: Detector, tmp_path: Path) -> None:
    new = forgive(detector, STRANGE).detector
    for one in (detector, new, new):
        store = WatchStore(tmp_path / "watch.db")
        Watcher(one, store).commit()
        store.close()
