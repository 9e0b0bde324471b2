"""How good is a detector, on sequences that are known to be normal and known not to be?

Labels are used here and nowhere else: what is flagged was settled when the detector learned. Beside its
figures stand those of the baselines, and both once more with each distinct sequence counted once.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onward.data.sequences import Sequences
from onward.errors import CorpusError, InputError
from onward.watch.calibration.statistics import auc_with_interval, binomial_interval, calibration_interval
from onward.watch.detector import Detector
from onward.watch.scoring.features import Feature, Verdict

Labelled = Mapping[str, Sequence[Sequence[str]]]


@dataclass(frozen=True)
class Figures:
    """How well one score tells two kinds of sequences apart.

    Attributes:
        auc: probability that an anomalous sequence scores higher than a normal one, ties counted half.
        auc_interval: of DeLong, 95 %.
        threshold: scores from which on, or above which, sequences are flagged.
        flagged: anomalous and normal sequences that were.
        of: anomalous and normal sequences.
        scale: normal sequences that each one stands for.
    """

    auc: float
    auc_interval: tuple[float, float]
    threshold: float
    flagged: tuple[int, int]
    of: tuple[int, int]
    scale: float

    @property
    def precision(self) -> float | None:
        """Share of the flagged that are anomalous; None where nothing is flagged."""
        caught, wrong = self.flagged[0], self.flagged[1] * self.scale
        return caught / (caught + wrong) if caught + wrong else None

    @property
    def recall(self) -> float:
        """Share of the anomalous that are flagged."""
        return self.flagged[0] / self.of[0]

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        precision, recall = self.precision or 0.0, self.recall
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values; shares have their exact 95 % intervals."""
        (caught, wrong), (anomalous, normal) = self.flagged, self.of
        return {
            "auc": self.auc,
            "auc_interval": list(self.auc_interval),
            "precision": self.precision,
            "recall": self.recall,
            "recall_interval": list(binomial_interval(caught, anomalous)),
            "f1": self.f1,
            "false_alarm_rate": wrong / normal,
            "false_alarm_interval": list(binomial_interval(wrong, normal)),
            "threshold": None if np.isinf(self.threshold) else self.threshold,
            "caught": caught,
            "anomalous": anomalous,
            "false_alarms": wrong,
            "normal": normal,
        }


@dataclass(frozen=True)
class Judgement:
    """What `evaluate` finds.

    Attributes:
        figures: of the detector.
        baselines: of each baseline.
        deduplicated: of both, by name, with each distinct sequence counted once, unscaled.
        classes: recall of each class of anomalous sequences: caught and all.
        normal, anomalous: the detector's scores, (n,) and (m,).
        baseline_scores: those of the baselines, of both.
        rate: of false alarms, as asked for.
        calibration: number of sequences that the threshold comes from.
        allowed: where the share of false alarms lies for so many, if what is normal is as it was learned; by
            the rule of `top_k` anywhere.
        speaks: what speaks most in false alarms, and in how many, the most frequent first.
        seconds: to score all sequences.
        events: of all sequences, with their ENDs.
    """

    figures: Figures
    baselines: dict[str, Figures]
    deduplicated: dict[str, Figures]
    classes: dict[str, tuple[int, int]]
    normal: np.ndarray
    anomalous: np.ndarray
    baseline_scores: dict[str, tuple[np.ndarray, np.ndarray]]
    rate: float
    calibration: int
    allowed: tuple[float, float]
    speaks: dict[Feature, int]
    seconds: float
    events: int

    @property
    def rate_holds(self) -> bool:
        """False where more of the normal sequences are flagged than chance and the calibration explain."""
        wrong, normal = self.figures.flagged[1], self.figures.of[1]
        return binomial_interval(wrong, normal)[0] <= self.allowed[1]

    def to_json(self) -> dict[str, Any]:
        """The judgement as plain values."""
        own = self.deduplicated["detector"].to_json()
        others = {
            name: figures.to_json() for name, figures in self.deduplicated.items() if name != "detector"
        }
        return self.figures.to_json() | {
            "rate": self.rate,
            "calibration_sequences": self.calibration,
            "rate_interval": list(self.allowed),
            "rate_holds": self.rate_holds,
            "false_alarms_by": dict(self.speaks),
            "scale": self.figures.scale,
            "baselines": {name: figures.to_json() for name, figures in self.baselines.items()},
            "deduplicated": own | {"baselines": others},
            "classes": {
                name: {"caught": caught, "of": of, "recall": caught / of}
                for name, (caught, of) in self.classes.items()
            },
            "seconds": self.seconds,
            "events": self.events,
        }


def evaluate(
    detector: Detector,
    normal: Sequence[Sequence[str]],
    anomalous: Labelled,
    *,
    normal_in_all: int | None = None,
) -> Judgement:
    """Judges a detector.

    Args:
        detector: to be judged, with the rate it has.
        normal: sequences that are normal.
        anomalous: sequences that are not, by the name of their class.
        normal_in_all: how many normal sequences there are, of which these are a sample; precision is then
            that of all of them.

    Raises:
        CorpusError: nothing normal, or nothing anomalous.
        InputError: the normal sequences are a sample of fewer than they are.
    """
    wrong = [sequence for sequences in anomalous.values() for sequence in sequences]
    if not normal or not wrong:
        raise CorpusError(
            f"expected normal and anomalous sequences, got {len(normal)} and {len(wrong)}",
            hint="name a file of each",
        )
    if normal_in_all is not None and normal_in_all < len(normal):
        raise InputError(
            f"expected {len(normal):,} or more normal sequences in all, got {normal_in_all:,}",
            hint="--scale takes the number that the normal ones are a sample of",
        )
    scale = 1.0 if normal_in_all is None else normal_in_all / len(normal)
    started = time.perf_counter()
    verdicts = detector.judge([*wrong, *normal], explain=False)
    seconds = time.perf_counter() - started
    encoded = detector.alphabet.encode([*wrong, *normal])
    scored = _Scored.of(detector, verdicts, encoded, len(wrong))
    firsts = np.array(sorted(_firsts(encoded, len(wrong))))
    once = scored.take(firsts)
    own, *baselines = scored.scores
    return Judgement(
        figures=scored.figures(own, scale),
        baselines={name: scored.figures(name, scale) for name in baselines},
        deduplicated={name: once.figures(name, 1.0) for name in once.scores},
        classes=_caught(anomalous, verdicts),
        normal=scored.parted(own)[0],
        anomalous=scored.parted(own)[1],
        baseline_scores={name: scored.parted(name) for name in baselines},
        rate=detector.rate,
        calibration=len(detector.calibration.scores),
        allowed=_allowed(detector),
        speaks=dict(Counter[Feature](v.speaks for v in verdicts[len(wrong) :] if v.flagged).most_common()),
        seconds=seconds,
        events=len(encoded.ids) + len(encoded),
    )


def _caught(anomalous: Labelled, verdicts: Sequence[Verdict]) -> dict[str, tuple[int, int]]:
    """How many of each class are flagged, of how many; the verdicts begin with theirs, class after class."""
    left = iter(verdicts)
    return {
        name: (sum(next(left).flagged for _ in sequences), len(sequences))
        for name, sequences in anomalous.items()
    }


def _allowed(detector: Detector) -> tuple[float, float]:
    if detector.top_k:
        return 0.0, 1.0
    return calibration_interval(detector.rate, len(detector.calibration.scores))


@dataclass(frozen=True)
class _Scored:
    """Sequences with what everyone makes of them.

    Attributes:
        scores: by name, (n,).
        flagged: by name, (n,).
        thresholds: by name.
        is_wrong: whether a sequence is anomalous, (n,).
    """

    scores: dict[str, np.ndarray]
    flagged: dict[str, np.ndarray]
    thresholds: dict[str, float]
    is_wrong: np.ndarray

    @classmethod
    def of(cls, detector: Detector, verdicts: list[Verdict], encoded: Sequences, wrong: int) -> "_Scored":
        scores = {"detector": np.array([verdict.score for verdict in verdicts])}
        flagged = {"detector": np.array([verdict.flagged for verdict in verdicts])}
        thresholds = {"detector": detector.calibration.threshold(detector.rate)}
        for name, values in detector.baselines.scores(encoded, detector.profile).items():
            scores[name] = values
            thresholds[name] = detector.baselines.threshold(name, detector.rate)
            flagged[name] = values > thresholds[name]
        return cls(scores, flagged, thresholds, np.arange(len(verdicts)) < wrong)

    def take(self, places: np.ndarray) -> "_Scored":
        """Some of them."""
        scores = {name: values[places] for name, values in self.scores.items()}
        flagged = {name: values[places] for name, values in self.flagged.items()}
        return _Scored(scores, flagged, self.thresholds, self.is_wrong[places])

    def parted(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The scores by one of them of normal sequences, and of anomalous ones."""
        return self.scores[name][~self.is_wrong], self.scores[name][self.is_wrong]

    def figures(self, name: str, scale: float) -> Figures:
        """Of one of them."""
        flagged, wrong = self.flagged[name], self.is_wrong
        auc, interval = auc_with_interval(*self.parted(name))
        return Figures(
            auc,
            interval,
            self.thresholds[name],
            (int(flagged[wrong].sum()), int(flagged[~wrong].sum())),
            (int(wrong.sum()), int((~wrong).sum())),
            scale,
        )


def _firsts(encoded: Sequences, wrong: int) -> list[int]:
    """The places of the first of equal sequences, within the anomalous and within the normal ones."""
    seen: set[tuple[bool, bytes]] = set()
    places = []
    for place, ids in enumerate(encoded):
        content = (place < wrong, ids.tobytes())
        if content not in seen:
            seen.add(content)
            places.append(place)
    return places
