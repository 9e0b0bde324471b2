"""A watch learns what is not unusual, after it has scored it."""

import random
from pathlib import Path

import pytest
from tests.watch.conftest import normal

from onward.watch.detector import Detector
from onward.watch.input.records import Record
from onward.watch.scoring.features import Verdict
from onward.watch.stream import learning
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.monitor import Monitor
from onward.watch.stream.store import WatchStore

USUAL = ["start", "read", "read", "sync", "stop"]
UNUSUAL = ["start", "read", "read", "sync", "sync", "stop"]
ALARMED = ["start", "boom", "read", "boom", "stop"]


def stream(sequences: list[list[str]], first: int = 0) -> list[Record]:
    """Returns the records of sequences that follow each other, one second apart."""
    found = list[Record]()
    for i, events in enumerate(sequences, first):
        for place, event in enumerate(events, 1):
            number = len(found) + 1
            found.append(Record(f"s{i}", event, float(number), event, number, place == len(events)))
    return found


def watched(detector: Detector, sequences: list[list[str]], *, learns: bool = True) -> list[Verdict]:
    """Returns the verdicts on sequences that a watch reads."""
    verdicts = dict[int, Verdict]()
    Monitor(detector, learns=learns, on_verdict=verdicts.__setitem__).feed(stream(sequences))
    return [verdict for _, verdict in sorted(verdicts.items())]


def test_a_kind_of_sequence_that_recurs_becomes_normal(detector: Detector) -> None:
    detector = detector.with_rate(0.005)
    sequences = [UNUSUAL if i % 3 == 0 else USUAL for i in range(300)]
    learned, fixed = (watched(detector, sequences, learns=learns)[::3] for learns in (True, False))
    assert not any(verdict.flagged for verdict in fixed)
    assert [verdict.score for verdict in fixed] == pytest.approx([fixed[0].score] * 100, abs=1e-3)
    assert learned[0].score == pytest.approx(fixed[0].score, abs=1e-3)  # scored before it is learned
    assert learned[-1].score < fixed[-1].score - 1


def test_what_is_alarmed_is_not_learned(detector: Detector) -> None:
    sequences = [ALARMED if i % 3 == 0 else USUAL for i in range(300)]
    verdicts = watched(detector, sequences)[::3]
    assert all(verdict.flagged for verdict in verdicts)
    assert verdicts[-1].features["new"] == verdicts[0].features["new"] > 2


def test_a_stream_that_does_not_change_has_no_more_alarms_than_without_learning(detector: Detector) -> None:
    chance = random.Random(3)
    sequences = [normal(chance) for _ in range(400)]
    learned, fixed = (watched(detector, sequences, learns=learns) for learns in (True, False))
    flagged = {verdict.key for verdict in learned if verdict.flagged}
    assert flagged <= {verdict.key for verdict in fixed if verdict.flagged}


def noisy(count: int, seed: int) -> list[list[str]]:
    """Returns sequences of which a few are unusual, in ever more ways."""
    chance = random.Random(seed)
    found = list[list[str]]()
    for i in range(count):
        events = USUAL.copy()
        if chance.random() < 0.4:
            events.insert(chance.randrange(5), chance.choice(["write", "flush", f"kind{i // 100}"]))
        found.append(events)
    return found


def keyed(alarms: list[Alarm]) -> list[tuple[object, ...]]:
    return [(a.number, a.key, a.line_number, a.ended, round(a.p_value, 6), a.is_news) for a in alarms]


@pytest.mark.parametrize(
    "size", [100, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 255, 256, 700))]
)
def test_the_alarms_do_not_depend_on_how_the_records_are_divided(
    size: int, detector: Detector, tmp_path: Path
) -> None:
    records = stream(noisy(160, 1))
    whole = Monitor(detector)
    expected = whole.feed(records) + whole.end()
    alarms, store = list[Alarm](), WatchStore(tmp_path / "watch.db")
    monitor = Monitor(detector, store)
    for i, start in enumerate(range(0, len(records), size)):
        if i % 3 == 2:  # a restart
            store.close()
            store = WatchStore(tmp_path / "watch.db")
            monitor = Monitor(detector, store)
        alarms += monitor.feed(records[start : start + size])
        monitor.commit()
    alarms += monitor.end()
    assert keyed(alarms) == keyed(expected)
    assert len(expected) > 3
    assert monitor.counts == whole.counts


def test_the_oldest_are_forgotten(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "MOST_LEARNED_EVENTS", 1000)
    detector = detector.with_rate(0.005)
    store = WatchStore(tmp_path / "watch.db")
    monitor = Monitor(detector, store)
    monitor.feed(stream([UNUSUAL] * 100))
    monitor.commit()
    learned_new = sum(sequence == UNUSUAL for sequence in store.learned())
    for i in range(1, 5):
        monitor.feed(stream([USUAL] * 100, 100 * i))
        monitor.commit()
        assert 0 < sum(map(len, store.learned())) <= 1000
    assert learned_new > 0
    assert UNUSUAL not in store.learned()
