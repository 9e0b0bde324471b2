"""Summarises a detector, and warns if its rate of false alarms is unreliable."""

import math
from collections.abc import Sequence
from typing import Any

from onward.watch.calibration.statistics import allowed_alarms, calibration_interval
from onward.watch.detector import Detector
from onward.watch.input.pauses import idle_seconds
from onward.watch.input.records import UnreadableLines

_LEAST_RATE = 1e-9
"""The smallest rate for which the number of sequences is computed; 1 / 1e-320 would be infinite."""

_FEW = 10
"""With fewer calibration sequences above the threshold, only the order of magnitude of the rate is known."""


def summary(detector: Detector) -> dict[str, Any]:
    """Returns the summary of a detector as JSON values."""
    facts, calibrated = detector.artefact.facts, len(detector.calibration.scores)
    threshold = detector.calibration.threshold(detector.rate)
    return {
        "sequences": facts["corpus"]["sequences"],
        "events": facts["corpus"]["symbols"],
        "distinct_events": len(detector.vocabulary.names),
        "bits_per_event": detector.mixture.bits_per_event,
        "calibration_sequences": calibrated,
        "folds": facts["calibration"]["folds"],
        "in_order": facts["calibration"].get("in_order", False),
        "false_alarms": detector.rate,
        "false_alarms_interval": list(calibration_interval(detector.rate, calibrated)),
        "smallest_false_alarms": detector.calibration.smallest_rate,
        "top_k": detector.top_k,
        "threshold": threshold if math.isfinite(threshold) else None,
        "templates": len(detector.source.get("templates") or ()),
        "idle_seconds": idle_seconds(detector.source),
    }


def warnings(detector: Detector, unreadable: Sequence[UnreadableLines]) -> list[str]:
    """Returns warnings about lines that could not be parsed, and about the rate of false alarms."""
    found = [lines.message() for lines in unreadable if lines.count]
    calibrated, rate = len(detector.calibration.scores), detector.rate
    if detector.top_k:
        found.append(
            f"events beyond the {detector.top_k} most likely are flagged: "
            "this rule does not control the false-alarm rate"
        )
    elif can_never_alarm(detector):
        found.append(never_alarms_message(detector))
    elif allowed_alarms(rate, calibrated) < _FEW:
        low, high = calibration_interval(rate, calibrated)
        found.append(
            f"with {calibrated:,} calibration sequences the rate is only roughly known: "
            f"{rate:.2%} was requested, expect {low:.2%} to {high:.2%}"
        )
    return found


def can_never_alarm(detector: Detector) -> bool:
    """Whether the rate is so low that the detector cannot flag any sequence."""
    return not detector.top_k and not allowed_alarms(detector.rate, len(detector.calibration.scores))


def never_alarms_message(detector: Detector) -> str:
    """Returns a message that the rate is too low, with the remedies."""
    return (
        f"{len(detector.calibration.scores):,} calibration sequences are too few for a rate of "
        f"{detector.rate:.2%}: nothing will be flagged. "
        f"Use --false-alarms {100 * detector.calibration.smallest_rate:.3g}% or more, "
        f"or learn from {math.ceil(1 / max(detector.rate, _LEAST_RATE)):,} sequences or more"
    )
