"""The report of a watch, as values and as lines."""

from typing import Any

from onward.watch.calibration.statistics import binomial_interval
from onward.watch.input.lines import LONGEST_LINE
from onward.watch.input.records import UnreadableLines
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.runner import Runner


def run_report(monitor: Monitor, runner: Runner) -> dict[str, Any]:
    """Returns the report since the watch began; `flagged_now` and `cut_lines` count this run only."""
    return watch_report(monitor) | {"flagged_now": runner.delivered, "cut_lines": runner.truncated}


def watch_report(monitor: Monitor) -> dict[str, Any]:
    """Returns the report since the watch began as JSON values."""
    counts = monitor.counts
    share, interval = None, None
    if counts.sequences:
        share = counts.flagged_ended / counts.sequences
        interval = list(binomial_interval(counts.flagged_ended, counts.sequences))
    return {
        **counts.to_json(),
        "in_flight": monitor.in_flight,
        "false_alarms_asked": None if monitor.detector.top_k else monitor.detector.rate,
        "budget": str(monitor.budget) if monitor.budget else None,
        "share_flagged": share,
        "share_flagged_interval": interval,
        "odd_times": monitor.odd_times,
        "drift": monitor.drift.message or None,
    }


def report_lines(report: dict[str, Any], unreadable: UnreadableLines) -> list[str]:
    """Returns the lines of a `run_report` for people."""
    lines = [
        f"{report['records']:,} events, {report['sequences']:,} sequences evaluated, "
        f"{report['in_flight']:,} open, {report['flagged']:,} flagged in {report['incidents']:,} incidents"
    ]
    if report["share_flagged"] is not None:
        low, high = report["share_flagged_interval"]
        rate = report["false_alarms_asked"]
        lines.append(
            f"flagged {report['share_flagged']:.3%} of the evaluated sequences ({low:.3%} to {high:.3%}); "
            + (f"false-alarm rate {rate:.3%}" if rate else "no false-alarm rate was set")
        )
    if suppressed := report["suppressed"]:
        limit = f"budget of {report['budget']}" if report["budget"] else "false-alarm rate"
        lines.append(f"flagged sequences suppressed to keep the {limit}: {suppressed:,}")
    if unreadable.count:
        lines.append(unreadable.message())
    if truncated := report["cut_lines"]:
        were = "line was" if truncated == 1 else "lines were"
        lines.append(f"{truncated:,} {were} too long: only the first {LONGEST_LINE:,} bytes were read")
    if report["odd_times"]:
        lines.append(f"{report['odd_times']:,} records had a time far from those of their neighbours")
    lines.append(report["drift"] or "no drift detected")
    return lines
