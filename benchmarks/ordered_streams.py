"""Labelled streams of sequences in time order, for the benchmark of rate control.

Each stream is learned on its first normal sequences, and judged on all later ones, normal and anomalous, in
their order. The folder is ../shared/data; its READMEs name the sources.

    hdfs       blocks of a distributed file system; nothing drifts. 2 % of the judged ones are anomalous
    lpr_mit    system calls of printing processes of 14 days, every second one; the first third is learned.
               2 % of the judged ones are intrusions
    bgl        lines of a supercomputer, one in four seconds; twenty in a row are a sequence, anomalous if
               one of them is. The first tenth is learned, and every third later sequence judged; new kinds of
               lines come again and again. The calibration takes the lines as exchangeable, which they are
               not: the other calibration allows for so much drift here that it flags nothing
    bgl_lines  every fourth of these lines, each a sequence of its own
    santos, shaw, russellmitchell    alerts of networks: those of a host in ten minutes are a sequence, the
               first day and a half is learned. A sequence is anomalous if an attack went on then

The other sequences without times are a minute apart. Anomalous sequences without a
place in the order are put at random places, with a fixed seed.
"""

import lzma
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watch_sets import Rows, load, thinned

MINUTE, DAY = 60.0, 86_400.0
_ANOMALOUS = 0.02
_LINE_SECONDS, _LEARNED_LINES = 4.0, 0.1
_WINDOW, _LEARNED_DAYS = 600, 1.5


@dataclass(frozen=True)
class JudgedSequence:
    """A sequence of a stream.

    Attributes:
        seconds: time of its end.
        events: its events.
        is_anomalous: its label.
    """

    seconds: float
    events: list[str]
    is_anomalous: bool


@dataclass(frozen=True)
class OrderedStream:
    """A stream of sequences.

    Attributes:
        name: the name of the stream.
        learned: the normal sequences to learn.
        judged: all later sequences, in order.
        in_order: whether the learned sequences are in time order.
    """

    name: str
    learned: Rows
    judged: list[JudgedSequence]
    in_order: bool = True

    @property
    def days(self) -> float:
        """Days between the first and the last judged sequence."""
        return (self.judged[-1].seconds - self.judged[0].seconds) / DAY


def names() -> list[str]:
    """Returns the names of all streams."""
    return list(_MAKERS)


def load_stream(name: str, data: Path) -> OrderedStream:
    """Returns a stream of the folder ../shared/data."""
    return _MAKERS[name](name, data)


def _hdfs(name: str, data: Path) -> OrderedStream:
    found = load("hdfs", data)
    return OrderedStream(name, found.learned, _mixed(found.normal, found.wrong), in_order=False)


def _lpr(name: str, data: Path) -> OrderedStream:
    found = load("lpr_mit", data)
    normal = (found.learned + found.normal)[::2]
    third = len(normal) // 3
    return OrderedStream(name, normal[:third], _mixed(normal[third:], found.wrong))


def _bgl(name: str, data: Path) -> OrderedStream:
    with lzma.open(data / "bgl-events" / "events.tsv.xz", "rt") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    size, every = (1, 4) if name == "bgl_lines" else (20, 1)
    lines = lines[::every]
    parts = [lines[start : start + size] for start in range(0, len(lines), size)]
    found = [
        JudgedSequence(
            i * _LINE_SECONDS * size * every,
            [event for _, event in part],
            any(label == "1" for label, _ in part),
        )
        for i, part in enumerate(parts)
    ]
    first = int(_LEARNED_LINES * len(found))
    learned = [sequence.events for sequence in found[:first] if not sequence.is_anomalous]
    return OrderedStream(name, learned, found[first :: 1 if name == "bgl_lines" else 3], in_order=False)


def _alerts(name: str, data: Path) -> OrderedStream:
    with lzma.open(data / "ait-alerts" / f"{name}.tsv.xz", "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    began = min(float(time) for time, *_ in rows)
    windows = defaultdict[tuple[int, str], list[tuple[str, bool]]](list)
    for time, host, alert, label, _ in rows:
        windows[int((float(time) - began) // _WINDOW), host].append((alert, label != "false_positive"))
    found = [
        JudgedSequence(
            (window + 1.0) * _WINDOW,
            [alert for alert, _ in alerts],
            any(is_attack for _, is_attack in alerts),
        )
        for (window, _), alerts in sorted(windows.items())
    ]
    learned = [each.events for each in found if each.seconds <= _LEARNED_DAYS * DAY and not each.is_anomalous]
    return OrderedStream(name, learned, [each for each in found if each.seconds > _LEARNED_DAYS * DAY])


def _mixed(normal: Rows, anomalous: Rows) -> list[JudgedSequence]:
    """Returns normal sequences in order, with anomalous ones at random places among them."""
    chosen = thinned(anomalous, round(_ANOMALOUS * len(normal)))
    chance = random.Random(0)
    places = [*((float(i), row, False) for i, row in enumerate(normal))]
    places += [(chance.uniform(0, len(normal)), row, True) for row in chosen]
    places.sort(key=lambda each: each[0])
    return [JudgedSequence(i * MINUTE, row, is_anomalous) for i, (_, row, is_anomalous) in enumerate(places)]


_MAKERS: dict[str, Callable[[str, Path], OrderedStream]] = {
    "hdfs": _hdfs,
    "lpr_mit": _lpr,
    **dict.fromkeys(("bgl", "bgl_lines"), _bgl),
    **dict.fromkeys(("santos", "shaw", "russellmitchell"), _alerts),
}
