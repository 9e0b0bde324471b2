"""A sequence with what was expected at each of its events: for a terminal, and as a page."""

import base64
import hashlib
import html
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, assert_never

from onward.atomic import atomic_write
from onward.html import render, surprise_class
from onward.units import as_percent
from onward.watch.datasets import Dataset
from onward.watch.detector import Detector
from onward.watch.scoring.features import EventScore, Verdict
from onward.watch.stream.alarms import counts_told

_BAR = 12
_SHOWN = 44
_NEW = "new here"
_LEGEND = (
    "bits: surprise, -log2 of the probability; rank: events that were likelier; "
    f"{_NEW}: never seen, or never behind the event before it"
)


@dataclass(frozen=True)
class Explanation:
    """A sequence, event by event.

    Attributes:
        verdict: on it.
        rate: of false alarms, that it was flagged at or not, and
        top_k: the number of events that may be expected, if that decides in its place (see `Detector`).
        bits_per_event: the mean of normal sequences.
        events: its events and its end.
        lines: the number of the line of each event.
    """

    verdict: Verdict
    rate: float
    top_k: int | None
    bits_per_event: float
    events: tuple[EventScore, ...]
    lines: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The explanation as plain values."""
        return {
            "verdict": self.verdict.to_json(),
            "rate": self.rate,
            "top_k": self.top_k,
            "bits_per_event": self.bits_per_event,
            "events": [event.to_json() for event in self.events],
            "lines": list(self.lines),
        }

    @property
    def told(self) -> str:
        """The verdict, as a sentence."""
        verdict = self.verdict
        said = "flagged" if verdict.flagged else "not flagged"
        if self.top_k:
            return f"{said}: {_rank_of(self.events)}, and an event is to be among the {self.top_k} likeliest"
        return f"{said}: p-value {verdict.p_value:.3g}, false alarms {self.rate:.3g}; {reason_of(verdict)}"


def explained(detector: Detector, loaded: Dataset, key: str) -> Explanation:
    """The sequence of that key; of several the last.

    Raises:
        InputError: there is none.
    """
    sequence = loaded.last_of(key)
    (verdict,) = detector.judge([sequence.events], [key])
    scores = tuple(detector.score_events(sequence.events))
    mean = detector.calibration.bits_per_event
    return Explanation(verdict, detector.rate, detector.top_k, mean, scores, tuple(sequence.lines))


def _rank_of(events: Sequence[EventScore]) -> str:
    """The highest rank of an event, as a sentence."""
    worst = max(events, key=lambda event: event.rank)
    return f"{worst.rank:,} events were likelier than {_short(worst.event)}"


def reason_of(verdict: Verdict) -> str:
    """What speaks most, as a sentence."""
    value = verdict.features[verdict.speaks]
    match verdict.speaks:
        case "largest":
            told = f"its most surprising event has {value:.1f} bits"
        case "mean":
            told = f"its events have {value:.2f} bits on average"
        case "total":
            told = "its events have more bits in all than so many should have"
        case "burst":
            told = f"some of its events in a row have {value:.1f} bits on average"
        case "counts":
            told = counts_told(verdict.counts)
        case "new":
            told = f"{value:.0f} events were never seen, or not behind the event before them"
        case "unseen":
            told = f"{100 * value:.3g} % of its events were never seen, or not behind the event before them"
        case "table":
            told = f"its events have {value:.2f} bits on average by an n-gram"
        case _:
            assert_never(verdict.speaks)
    return told


def as_text(found: Explanation) -> str:
    """The explanation for a terminal: a line for each event."""
    rows = [f"sequence {found.verdict.key}, {found.told}", ""]
    rows.append(f"{'line':>7} {'bits':>6} {'rank':>5}  {'':<{_BAR}} event; expected")
    for event, line in zip(found.events, (*found.lines, None), strict=True):
        bar = "#" * min(_BAR, round(event.bits))
        name = _short(event.event)
        beside = "" if event.rank == 0 else f"; {_alternatives(event)}"
        new = f" ({_NEW})" if event.new else ""
        rows.append(
            f"{'' if line is None else line:>7} {event.bits:>6.2f} {event.rank:>5}  "
            f"{bar:<{_BAR}} {name}{new}{beside}"
        )
    return "".join(row.rstrip() + "\n" for row in [*rows, "", _LEGEND])


def write_page(found: Explanation, path: str | os.PathLike[str]) -> None:
    """Writes the explanation as a page without outside resources and without a script.

    Raises:
        WriteError: the disk refused.
    """
    with atomic_write(path) as file:
        for piece in _page(found):
            file.write(piece.encode("utf-8", "replace"))


def _page(found: Explanation) -> Iterator[str]:
    style = "".join(files(home).joinpath(name).read_text("utf-8") for home, name in _STYLES)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    heading = html.escape(f"Sequence {found.verdict.key}")
    yield f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{heading}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<style>{style}</style>\n</head>\n<body>\n<header>\n<h1>{heading}</h1>\n"
    yield f'<p class="{"flagged" if found.verdict.flagged else "normal"}">{html.escape(found.told)}</p>\n'
    mean = f"{found.verdict.length:,} events; normal ones have {found.bits_per_event:.2f} bits each"
    yield f"<p>{mean}</p>\n{render('legend.html.j2')}<p>{html.escape(_LEGEND)}</p>\n</header>\n"
    yield "<main>\n<table>\n<thead><tr><th>line</th><th>bits</th>"
    yield "<th>rank</th><th>event</th><th>expected</th></tr></thead>\n<tbody>\n"
    for event, line in zip(found.events, (*found.lines, None), strict=True):
        yield _row(event, line)
    yield "</tbody>\n</table>\n</main>\n</body>\n</html>\n"


_STYLES = (
    ("onward", "static/reading.css"),
    ("onward", "static/page.css"),
    ("onward.watch", "explain.css"),
)


def _row(event: EventScore, line: int | None) -> str:
    """Of the table: an event coloured by its surprise, beside what was expected."""
    name = f'<i class="{surprise_class(event.bits)}">{html.escape(event.event)}</i>'
    name += f' <b class="new">{_NEW}</b>' if event.new else ""
    expected = " ".join(
        f"<span>{html.escape(other.event)} <b>{as_percent(other.probability)} %</b></span>"
        for other in event.expected
    )
    place = "" if line is None else f"{line:,}"
    return (
        f"<tr><td>{place}</td><td>{event.bits:.2f}</td><td>{event.rank}</td><td>{name}</td>"
        f"<td>{expected}</td></tr>\n"
    )


def _alternatives(event: EventScore) -> str:
    return ", ".join(f"{_short(other.event)} {as_percent(other.probability)} %" for other in event.expected)


def _short(name: str) -> str:
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
