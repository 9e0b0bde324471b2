"""Labelled sequences of events for the benchmarks of the detector, in one form.

Each set has normal sequences to learn, and normal and anomalous sequences to judge. Where the source has a
time order, the first half of the normal sequences is learned and the second half judged; elsewhere both
halves are drawn at random, with a fixed seed. The folder is ../shared/data; its READMEs name the sources.

    hdfs                    blocks of a distributed file system, by the published split
    lpr_mit, lpr_unm, sendmail, login, ps, xlock    system calls of processes; the intrusions are few kinds
    openstack_loghub, openstack_kalaki, hadoop      log events of virtual machines and containers
    Sepsis, Receipt, Declarations, PermitLog        cases of business processes, with altered cases
    gigantic, huge, large, medium, p2p, paper, small, wide    synthetic business processes
    traces_1, traces_2, traces_3                    synthetic system calls (`synthetic_traces.py`)
    schonlau_1 to schonlau_25                       users' commands in blocks of 100; foreign blocks

A business case whose anomaly changes only an attribute is left out, since its events are those of a normal
case.
"""

import gzip
import lzma
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from synthetic_traces import System

Rows = list[list[str]]

_PROCESSES = (
    *(f"{name}-0.1-1" for name in ("Sepsis", "Receipt", "Declarations", "PermitLog")),
    *(f"{name}-0.10-1" for name in ("gigantic", "huge", "large", "medium", "p2p", "paper", "small", "wide")),
)
_TRACES = {
    "lpr_mit": "lpr_live_mit",
    "lpr_unm": "lpr_live_unm",
    "sendmail": "sendmail_synth",
    "login": "login",
    "ps": "ps",
    "xlock": "xlock",
}
_USERS = range(1, 26)


@dataclass(frozen=True)
class LabelledSet:
    """Sequences to learn and to judge.

    Attributes:
        name: the name of the set.
        learned: normal sequences to learn.
        normal: normal sequences to judge.
        anomalous: anomalous sequences to judge, by class.
        in_order: whether the sequences are in time order.
    """

    name: str
    learned: Rows
    normal: Rows
    anomalous: dict[str, Rows] = field(default_factory=dict)
    in_order: bool = False

    @property
    def wrong(self) -> Rows:
        """All anomalous sequences."""
        return [row for rows in self.anomalous.values() for row in rows]


def names() -> list[str]:
    """Returns the names of all sets."""
    return list(_MAKERS)


def load(name: str, data: Path) -> LabelledSet:
    """Returns a set of the folder ../shared/data."""
    return _MAKERS[name](name, data)


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else lzma.open
    with opened(path, "rt", encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def _halves(name: str, normal: Rows, anomalous: dict[str, Rows], *, in_order: bool) -> LabelledSet:
    if not in_order:
        normal = normal.copy()
        random.Random(0).shuffle(normal)
    half = (len(normal) + 1) // 2
    return LabelledSet(name, normal[:half], normal[half:], anomalous, in_order)


def _hdfs(name: str, data: Path) -> LabelledSet:
    learned, normal, wrong = (
        [line.split() for line in _lines(data / "hdfs" / f"hdfs_{part}.gz")]
        for part in ("train", "test_normal_sample", "test_abnormal")
    )
    return LabelledSet(name, learned, normal, {"anomalous": wrong})


def _system_calls(name: str, data: Path) -> LabelledSet:
    normal, wrong = Rows(), Rows()
    for line in _lines(data / "unm-syscalls" / f"{_TRACES[name]}.tsv.xz"):
        label, _, _, calls = line.split("\t")
        (wrong if label == "1" else normal).append(calls.split())
    return _halves(name, normal, {"intrusion": wrong}, in_order=name == "lpr_mit")


def _log_events(name: str, data: Path) -> LabelledSet:
    parts = [
        [line.partition(",")[2].split() for line in _lines(data / "openstack-hadoop" / f"{name}_{part}.xz")]
        for part in ("train", "test_normal", "test_abnormal")
    ]
    return _halves(name, parts[0] + parts[1], {"anomalous": parts[2]}, in_order=False)


def _process(file: str, name: str, data: Path) -> LabelledSet:
    rows = [line.split("\t") for line in _lines(data / "process-logs" / f"{file}.tsv.xz")]
    anomalous: dict[str, Rows] = {}
    for label, kind, _, events in rows:
        if label == "1" and kind != "Attribute":
            anomalous.setdefault(kind, []).append(events.split("|"))
    normal = [events.split("|") for label, _, _, events in rows if label == "0"]
    return _halves(name, normal, anomalous, in_order=bool(rows[0][2]))


def _traces(seed: int, name: str, data: Path) -> LabelledSet:
    del data
    system = System(seed)
    return LabelledSet(name, system.normal(400, 1), system.normal(400, 2), system.attacks(150, 3))


def _user(user: int, name: str, data: Path) -> LabelledSet:
    rows = [line.split("\t") for line in _lines(data / "schonlau" / "schonlau.tsv.xz")]
    own = [(int(block), label, commands.split()) for who, block, label, commands in rows if int(who) == user]
    judged = {label: [row for block, each, row in own if block >= 50 and each == label] for label in "01"}
    learned = [row for block, _, row in own if block < 50]
    return LabelledSet(name, learned, judged["0"], {"foreign": judged["1"]}, in_order=True)


def thinned(rows: Rows, most: int) -> Rows:
    """Returns at most this many rows, evenly spaced."""
    return rows if len(rows) <= most else [rows[i] for i in (np.arange(most) * len(rows) // most).tolist()]


_MAKERS: dict[str, Callable[[str, Path], LabelledSet]] = {
    "hdfs": _hdfs,
    **dict.fromkeys(_TRACES, _system_calls),
    **dict.fromkeys(("openstack_loghub", "openstack_kalaki", "hadoop"), _log_events),
    **{file.partition("-")[0]: partial(_process, file) for file in _PROCESSES},
    **{f"traces_{seed}": partial(_traces, seed) for seed in (1, 2, 3)},
    **{f"schonlau_{user}": partial(_user, user) for user in _USERS},
}
