"""Explains a verdict by the surprise of each event and the expected events: as text, or as an HTML page."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from onward.atomic import atomic_write
from onward.html import render_to
from onward.printable import printable
from onward.units import as_percent
from onward.watch.datasets import Dataset
from onward.watch.detector import Detector
from onward.watch.scoring.features import EventScore, Verdict
from onward.watch.scoring.surprise import TOP
from onward.watch.stream.alarms import describe_counts

_BAR_WIDTH = 12
_NAME_WIDTH = 44
_NEW = "new here"
_LEGEND = (
    "bits: surprise (1 bit: a probability of 50 %, 2 bits: 25 %); rank: number of more likely events; "
    f"{_NEW}: never seen, or never directly after the event before it"
)


@dataclass(frozen=True)
class Explanation:
    """A verdict on a sequence with the score of each event.

    Attributes:
        verdict: the verdict.
        rate: the detector's rate of false alarms.
        top_k: DeepLog's rule, if it is used in place of the rate (see `Detector`).
        bits_per_event: mean surprise of the events of normal sequences.
        events: the scores of the events and of the END.
        lines: the line number of each event.
        excesses: descriptions of the measures above their bounds, by line number.
    """

    verdict: Verdict
    rate: float
    top_k: int | None
    bits_per_event: float
    events: tuple[EventScore, ...]
    lines: tuple[int, ...]
    excesses: dict[int, str]

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.to_json(),
            "rate": self.rate,
            "top_k": self.top_k,
            "bits_per_event": self.bits_per_event,
            "events": [event.to_json() for event in self.events],
            "lines": list(self.lines),
            "excesses": {str(line): words for line, words in self.excesses.items()},
        }

    @property
    def summary(self) -> str:
        """The verdict and its reason in one sentence."""
        verdict = self.verdict
        result = "flagged" if verdict.flagged else "not flagged"
        if self.top_k:
            worst = max(self.events, key=lambda event: event.rank)
            reason = f"{worst.rank:,} events were more likely than {_shorten(worst.event)}"
            return f"{result}: {reason}; events must be among the {self.top_k} most likely"
        return (
            f"{result}: p-value {verdict.p_value:.3g}, false-alarm rate {self.rate:.3g}; "
            f"{describe_reason(verdict)}"
        )

    def rows(self) -> Iterator[tuple[EventScore, int | None, str]]:
        """Yields each event, its line number, and words on its excess. The line of the END is None."""
        for event, line in zip(self.events, (*self.lines, None), strict=True):
            yield event, line, "" if line is None else self.excesses.get(line, "")


def explain_sequence(detector: Detector, dataset: Dataset, key: str) -> Explanation:
    """Returns the explanation of the last sequence with a key.

    Raises:
        InputError: there is no sequence with this key.
    """
    sequence = dataset.last_of(key)
    (verdict,) = detector.judge([sequence.events], [key])
    scores = tuple(detector.score_events(sequence.events))
    bits_per_event = detector.mixture.bits_per_event
    return Explanation(
        verdict,
        detector.rate,
        detector.top_k,
        bits_per_event,
        scores,
        tuple(sequence.lines),
        sequence.excesses,
    )


def describe_reason(verdict: Verdict) -> str:
    """Returns the main feature of a verdict as a sentence."""
    value = verdict.features[verdict.main_feature]
    match verdict.main_feature:
        case "total":
            reason = "its events have more bits in total than is normal for so many events"
        case "mean":
            reason = f"its events have {value:.2f} bits on average"
        case "top":
            reason = f"its {TOP} most surprising events have {value:.1f} bits on average"
        case "ngram_mean":
            reason = f"by the n-gram model, its events have {value:.2f} bits on average"
        case "ngram_top":
            reason = f"by the n-gram model, its {TOP} most surprising events have {value:.1f} bits on average"
        case "counts":
            reason = describe_counts(verdict.counts)
        case "new":
            reason = f"{value:.0f} events were never seen, or never directly after the event before them"
        case _:
            assert_never(verdict.main_feature)
    return reason


def as_lines(explanation: Explanation) -> list[str]:
    """Returns the explanation for a terminal, with one line per event."""
    rows = [f"sequence {explanation.verdict.key}, {explanation.summary}", ""]
    rows.append(f"{'line':>7} {'bits':>6} {'rank':>5}  {'':<{_BAR_WIDTH}} event; expected")
    for event, line, excess in explanation.rows():
        bar = "#" * min(_BAR_WIDTH, round(event.bits))
        new = f" ({_NEW})" if event.new else ""
        unusual = f"; {printable(excess)}" if excess else ""
        expected = f"; {_alternatives(event)}" if event.rank else ""
        rows.append(
            f"{'' if line is None else line:>7} {event.bits:>6.2f} {event.rank:>5}  "
            f"{bar:<{_BAR_WIDTH}} {_shorten(event.event)}{new}{unusual}{expected}"
        )
    return [row.rstrip() for row in [*rows, "", _LEGEND]]


def write_page(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Writes the explanation as an HTML page without scripts or outside resources.

    Raises:
        WriteError: the file cannot be written.
    """
    with atomic_write(path) as file:
        render_to(
            file,
            "explain.html.j2",
            title=f"Sequence {explanation.verdict.key}",
            verdict=explanation.verdict,
            summary=explanation.summary,
            bits_per_event=explanation.bits_per_event,
            legend=_LEGEND,
            new=_NEW,
            rows=explanation.rows(),
        )


def _alternatives(event: EventScore) -> str:
    return ", ".join(f"{_shorten(other.event)} {as_percent(other.probability)} %" for other in event.expected)


def _shorten(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _NAME_WIDTH else f"{text[: _NAME_WIDTH - 3]}..."
