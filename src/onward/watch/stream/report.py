"""What a watch has seen, in figures and in sentences."""

from typing import Any

from onward.watch.calibration.statistics import binomial_interval
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.input.records import UnreadableLines
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.runner import Runner


def report(watcher: Monitor, live: Runner) -> dict[str, Any]:
    """The watch since it began, as plain values; flagged now, and lines that were cut, are of this run."""
    return watch_report(watcher) | {"flagged_now": live.flagged, "cut_lines": live.cut}


def watch_report(watcher: Monitor) -> dict[str, Any]:
    """The same without what is of this run alone."""
    counts = watcher.counts
    share, interval = None, None
    if counts.sequences:
        share = counts.flagged_ended / counts.sequences
        interval = list(binomial_interval(counts.flagged_ended, counts.sequences))
    return {
        **counts.to_json(),
        "in_flight": watcher.in_flight,
        "false_alarms_asked": None if watcher.detector.top_k else watcher.detector.rate,
        "share_flagged": share,
        "share_flagged_interval": interval,
        "odd_times": watcher.odd_times,
        "drift": watcher.drift.told or None,
    }


def report_lines(found: dict[str, Any], trouble: UnreadableLines) -> list[str]:
    """The report for a person."""
    lines = [
        f"{found['records']:,} events, {found['sequences']:,} sequences judged, "
        f"{found['in_flight']:,} in flight, {found['flagged']:,} flagged"
    ]
    if found["share_flagged"] is not None:
        low, high = found["share_flagged_interval"]
        asked = found["false_alarms_asked"]
        lines.append(
            f"flagged {found['share_flagged']:.3%} of those judged ({low:.3%} to {high:.3%}); "
            + (f"of normal ones {asked:.3%} may be" if asked else "no rate of false alarms was asked for")
        )
    if trouble.count:
        lines.append(trouble.told())
    if cut := found["cut_lines"]:
        were = "line was" if cut == 1 else "lines were"
        lines.append(f"{cut:,} {were} too long: only the first {LONGEST_LINE:,} bytes were read")
    if found["odd_times"]:
        lines.append(f"{found['odd_times']:,} records had times far from those of the others")
    lines.append(found["drift"] or "drift: none is seen")
    return lines
