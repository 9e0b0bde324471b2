import pytest

from onward.watch.calibration.statistics import calibration_interval
from onward.watch.detector import Detector
from onward.watch.evaluation.summary import can_never_alarm, never_alarms_message, summary, warnings
from onward.watch.input.records import UnreadableLines


def test_the_summary_has_the_interval_of_the_rate(detector: Detector) -> None:
    found = summary(detector)
    calibrated = len(detector.calibration.scores)
    assert found["calibration_sequences"] == calibrated
    assert found["false_alarms_interval"] == [*calibration_interval(detector.rate, calibrated)]
    assert found["distinct_events"] == len(detector.vocabulary.names)


@pytest.mark.parametrize(
    ("rate", "top_k", "message"),
    [
        (0.001, None, "100 calibration sequences are too few for a rate of 0.10%: nothing will be flagged"),
        (0.03, None, "the rate is only roughly known: 3.00% was requested, expect 0.62% to 7.04%"),
        (None, 3, "events beyond the 3 most likely are flagged"),
    ],
)
def test_a_rate_that_the_calibration_cannot_hold_is_reported(
    rate: float | None, top_k: int | None, message: str, detector: Detector
) -> None:
    changed = detector.with_rate(rate, top_k)
    (warning,) = warnings(changed, [])
    assert message in warning
    assert can_never_alarm(changed) == ("nothing" in message)


def test_unreadable_lines_are_reported(detector: Detector) -> None:
    unreadable = UnreadableLines()
    unreadable.add(7, "no key")
    found = warnings(detector.with_rate(0.5), [unreadable, UnreadableLines()])
    assert found == ["1 line could not be read (line 7: no key)"]


def test_a_rate_next_to_zero_has_a_message_too(detector: Detector) -> None:
    """A number in a file may be so small that its reciprocal is infinite."""
    assert "nothing will be flagged" in never_alarms_message(detector.with_rate(5e-324))
