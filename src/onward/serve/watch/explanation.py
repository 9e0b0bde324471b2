"""Why an alarm was raised: the surprise of each event of its sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from onward.watch.detector import Detector
from onward.watch.stream.alarms import Alarm

LONGEST = 1000
"""Events of an explanation, those around the most surprising one."""


def explain_alarm(detector: Detector, alarm: Alarm, events: Sequence[str], *, ended: bool) -> dict[str, Any]:
    """Explains an alarm.

    Args:
        detector: that raised it.
        alarm: to explain.
        events: of its sequence, by name.
        ended: the sequence has ended, so its end has a surprise too.
    """
    scores = detector.score_events(events)
    scores = scores if ended else scores[:-1]
    worst = int(np.argmax([score.bits for score in scores]))
    first = max(0, min(worst - LONGEST // 2, len(scores) - LONGEST))
    return {
        "alarm": alarm.to_json(),
        "ended": ended,
        "rate": detector.rate,
        "bits_per_event": detector.calibration.bits_per_event,
        "bytes": detector.vocabulary.is_bytes,
        "first": first,
        "of": len(scores),
        "events": [score.to_json() for score in scores[first : first + LONGEST]],
    }
