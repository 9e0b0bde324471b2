"""Evaluates a detector on labelled sequences: how well does it separate normal from anomalous sequences?

Labels are used only here. The threshold of the detector is fixed beforehand. The baselines are evaluated on
the same sequences, and all figures are also given with duplicates counted once.
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
from onward.watch.scoring.features import FEATURES, Feature, Verdict

DETECTOR = "detector"
"""The name of the detector among the baselines."""

_CLEARLY = 0.01

Labelled = Mapping[str, Sequence[Sequence[str]]]
"""Sequences by the name of their class."""


@dataclass(frozen=True)
class Figures:
    """How well one score separates normal from anomalous sequences.

    Attributes:
        auc: area under the ROC curve: the probability that an anomalous sequence scores higher than a normal
            one.
        auc_interval: 95 % confidence interval of the area (DeLong).
        threshold: the score above which sequences are flagged.
        caught: number of anomalous sequences that are flagged.
        anomalous: number of anomalous sequences.
        false_alarms: number of normal sequences that are flagged.
        normal: number of normal sequences.
        scale: number of normal sequences that each normal sequence of the sample represents.
    """

    auc: float
    auc_interval: tuple[float, float]
    threshold: float
    caught: int
    anomalous: int
    false_alarms: int
    normal: int
    scale: float

    @property
    def precision(self) -> float | None:
        """Share of flagged sequences that are anomalous; None if nothing is flagged."""
        flagged = self.caught + self.false_alarms * self.scale
        return self.caught / flagged if flagged else None

    @property
    def recall(self) -> float:
        """Share of anomalous sequences that are flagged."""
        return self.caught / self.anomalous

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        precision, recall = self.precision or 0.0, self.recall
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def false_alarm_rate(self) -> float:
        """Share of normal sequences that are flagged."""
        return self.false_alarms / self.normal

    @property
    def false_alarm_interval(self) -> tuple[float, float]:
        """Exact 95 % confidence interval of the false-alarm rate."""
        return binomial_interval(self.false_alarms, self.normal)

    def to_json(self) -> dict[str, Any]:
        return {
            "auc": self.auc,
            "auc_interval": list(self.auc_interval),
            "precision": self.precision,
            "recall": self.recall,
            "recall_interval": list(binomial_interval(self.caught, self.anomalous)),
            "f1": self.f1,
            "false_alarm_rate": self.false_alarm_rate,
            "false_alarm_interval": list(self.false_alarm_interval),
            "threshold": None if np.isinf(self.threshold) else self.threshold,
            "caught": self.caught,
            "anomalous": self.anomalous,
            "false_alarms": self.false_alarms,
            "normal": self.normal,
        }


@dataclass(frozen=True)
class ScoredSequences:
    """Labelled sequences with the scores of the detector and of each baseline, by name.

    Attributes:
        scores: the scores, (n,).
        flagged: whether each sequence is flagged, (n,).
        thresholds: the thresholds.
        is_anomalous: the labels, (n,).
    """

    scores: dict[str, np.ndarray]
    flagged: dict[str, np.ndarray]
    thresholds: dict[str, float]
    is_anomalous: np.ndarray

    @classmethod
    def of(
        cls, detector: Detector, verdicts: Sequence[Verdict], encoded: Sequences, is_anomalous: np.ndarray
    ) -> "ScoredSequences":
        scores = {DETECTOR: np.array([verdict.score for verdict in verdicts])}
        flagged = {DETECTOR: np.array([verdict.flagged for verdict in verdicts])}
        thresholds = {DETECTOR: detector.calibration.threshold(detector.rate)}
        for name, values in detector.baselines.scores(encoded, detector.profile).items():
            scores[name] = values
            thresholds[name] = detector.baselines.threshold(name, detector.rate)
            flagged[name] = values > thresholds[name]
        return cls(scores, flagged, thresholds, is_anomalous)

    def take(self, places: np.ndarray) -> "ScoredSequences":
        """Returns some of the sequences."""
        scores = {name: values[places] for name, values in self.scores.items()}
        flagged = {name: values[places] for name, values in self.flagged.items()}
        return ScoredSequences(scores, flagged, self.thresholds, self.is_anomalous[places])

    def by_label(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the scores of the normal and of the anomalous sequences."""
        return self.divide(self.scores[name])

    def divide(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the values (n,) of the normal and of the anomalous sequences."""
        return values[~self.is_anomalous], values[self.is_anomalous]

    def figures(self, scale: float) -> dict[str, Figures]:
        """Returns the figures of the detector and of each baseline."""
        return {name: self._figures(name, scale) for name in self.scores}

    def _figures(self, name: str, scale: float) -> Figures:
        flagged, is_anomalous = self.flagged[name], self.is_anomalous
        auc, interval = auc_with_interval(*self.by_label(name))
        return Figures(
            auc,
            interval,
            self.thresholds[name],
            caught=int(flagged[is_anomalous].sum()),
            anomalous=int(is_anomalous.sum()),
            false_alarms=int(flagged[~is_anomalous].sum()),
            normal=int((~is_anomalous).sum()),
            scale=scale,
        )


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        figures: the figures of the detector and of each baseline, by name.
        deduplicated: the same figures with duplicates counted once, and not scaled up.
        classes: for each class of anomalous sequences, how many are flagged and how many there are.
        scored: the sequences with their scores.
        rate: the false-alarm rate that was requested.
        calibration: number of calibration sequences behind the threshold.
        rate_interval: 95 % interval of the false-alarm rate to expect with this number of calibration
            sequences, if the normal sequences are like those that the detector learned; (0, 1) for the rule
            of `top_k`.
        parts: the area under the ROC curve of each feature alone.
        alarm_features: the main features of false alarms and how often they occur, the most frequent first.
        seconds: time to score all sequences.
        events: number of events of all sequences, ENDs included.
    """

    figures: dict[str, Figures]
    deduplicated: dict[str, Figures]
    classes: dict[str, tuple[int, int]]
    scored: ScoredSequences
    rate: float
    calibration: int
    rate_interval: tuple[float, float]
    parts: dict[Feature, float]
    alarm_features: dict[Feature, int]
    seconds: float
    events: int

    @property
    def detector(self) -> Figures:
        """The figures of the detector."""
        return self.figures[DETECTOR]

    @property
    def better(self) -> dict[str, float]:
        """The simple detectors and features whose AUC is clearly above the detector's, the best first."""
        least = self.detector.auc + _CLEARLY
        aucs = {name: figures.auc for name, figures in self.figures.items()} | self.parts
        return {name: auc for name, auc in sorted(aucs.items(), key=lambda each: -each[1]) if auc > least}

    @property
    def rate_holds(self) -> bool:
        """False if more normal sequences are flagged than the rate and chance explain."""
        return self.detector.false_alarm_interval[0] <= self.rate_interval[1]

    def to_json(self) -> dict[str, Any]:
        return {
            **_nested(self.figures),
            "rate": self.rate,
            "calibration_sequences": self.calibration,
            "rate_interval": list(self.rate_interval),
            "rate_holds": self.rate_holds,
            "parts": dict(self.parts),
            "better": self.better,
            "false_alarms_by": dict(self.alarm_features),
            "scale": self.detector.scale,
            "deduplicated": _nested(self.deduplicated),
            "classes": {
                name: {"caught": caught, "of": of, "recall": caught / of}
                for name, (caught, of) in self.classes.items()
            },
            "seconds": self.seconds,
            "events": self.events,
        }


def _nested(figures: dict[str, Figures]) -> dict[str, Any]:
    """Returns the figures of the detector, with those of the baselines in a field."""
    found = {name: part.to_json() for name, part in figures.items()}
    return found.pop(DETECTOR) | {"baselines": found}


def evaluate(
    detector: Detector,
    normal: Sequence[Sequence[str]],
    anomalous: Labelled,
    *,
    normal_in_all: int | None = None,
) -> Evaluation:
    """Evaluates a detector at its own threshold.

    Args:
        detector: the detector.
        normal: normal sequences.
        anomalous: anomalous sequences by the name of their class.
        normal_in_all: number of normal sequences that `normal` is a sample of; the precision is then
            estimated for all of them.

    Raises:
        CorpusError: there are no normal or no anomalous sequences.
        InputError: `normal_in_all` is smaller than the sample.
    """
    wrong = [sequence for sequences in anomalous.values() for sequence in sequences]
    if not normal or not wrong:
        raise CorpusError(
            f"expected normal and anomalous sequences, got {len(normal)} and {len(wrong)}",
            hint="give at least one file of each",
        )
    if normal_in_all is not None and normal_in_all < len(normal):
        raise InputError(
            f"expected {len(normal):,} or more normal sequences in all, got {normal_in_all:,}",
            hint="--scale is the number of sequences from which the normal ones were drawn",
        )
    started = time.perf_counter()
    verdicts = detector.judge([*wrong, *normal], explain=False)
    seconds = time.perf_counter() - started
    encoded = detector.vocabulary.encode([*wrong, *normal])
    scored = ScoredSequences.of(detector, verdicts, encoded, np.arange(len(verdicts)) < len(wrong))
    false_alarms = Counter[Feature](v.main_feature for v in verdicts[len(wrong) :] if v.flagged)
    calibrated = len(detector.calibration.scores)
    return Evaluation(
        figures=scored.figures(1.0 if normal_in_all is None else normal_in_all / len(normal)),
        deduplicated=scored.take(_first_of_duplicates(encoded, scored.is_anomalous)).figures(1.0),
        classes=_caught_by_class(anomalous, verdicts),
        scored=scored,
        rate=detector.rate,
        calibration=calibrated,
        rate_interval=(0.0, 1.0) if detector.top_k else calibration_interval(detector.rate, calibrated),
        parts={
            name: auc_with_interval(*scored.divide(np.array([v.features[name] for v in verdicts])))[0]
            for name in FEATURES
        },
        alarm_features=dict(false_alarms.most_common()),
        seconds=seconds,
        events=len(encoded.ids) + len(encoded),
    )


def _caught_by_class(anomalous: Labelled, verdicts: Sequence[Verdict]) -> dict[str, tuple[int, int]]:
    """Returns how many sequences of each class are flagged, and how many there are.

    The verdicts start with those on these sequences, class after class.
    """
    remaining = iter(verdicts)
    return {
        name: (sum(next(remaining).flagged for _ in sequences), len(sequences))
        for name, sequences in anomalous.items()
    }


def _first_of_duplicates(encoded: Sequences, is_anomalous: np.ndarray) -> np.ndarray:
    """Returns the index of the first copy of each sequence. Copies have the same events and label."""
    seen: set[tuple[bool, bytes]] = set()
    places = []
    for place, (ids, label) in enumerate(zip(encoded, is_anomalous.tolist(), strict=True)):
        content = (label, ids.tobytes())
        if content not in seen:
            seen.add(content)
            places.append(place)
    return np.array(places)
