"""Why an alarm was raised: the surprise of each event of its sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from onward.watch.detector import Detector
from onward.watch.stream.alarms import Alarm

LONGEST = 1000
"""Maximum number of events of an explanation, around the most surprising event."""


def explain_alarm(detector: Detector, alarm: Alarm, events: Sequence[str], *, ended: bool) -> dict[str, Any]:
    """Explains an alarm.

    Args:
        detector: the detector that raised the alarm.
        alarm: the alarm to explain.
        events: the events of its sequence, by name.
        ended: whether the sequence has ended; if so, its END is explained too.
    """
    scores = detector.score_events(events)
    scores = scores if ended else scores[:-1]
    worst = int(np.argmax([score.bits for score in scores]))
    first = max(0, min(worst - LONGEST // 2, len(scores) - LONGEST))
    return {
        "alarm": alarm.to_json(),
        "ended": ended,
        "rate": detector.rate,
        "bits_per_event": detector.mixture.bits_per_event,
        "bytes": detector.vocabulary.is_bytes,
        "first": first,
        "of": len(scores),
        "events": [score.to_json() for score in scores[first : first + LONGEST]],
    }
