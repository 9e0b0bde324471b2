"""How a server watches with its detectors."""

from dataclasses import dataclass

from onward.watch.stream.alarm_budget import AlarmBudget


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """Settings of all detectors of a server.

    Attributes:
        idle: seconds without a record after which a sequence has ended; None: see `Monitor`.
        rate: false-alarm rate; None: each detector's own.
        budget: how many incidents each detector may open; None: the rate decides.
        learns: whether the detectors learn from the sequences that they do not flag.
    """

    idle: float | None = None
    rate: float | None = None
    budget: AlarmBudget | None = None
    learns: bool = True
