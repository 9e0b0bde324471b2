"""A detector with the interface of scikit-learn, which need not be installed."""

import importlib.util
import inspect
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from onward.errors import InputError
from onward.watch.detector import Detector
from onward.watch.scoring.features import Verdict
from onward.watch.training import LearnSettings, learn_detector

Events = Sequence[Sequence[Hashable]]


class SequenceDetector:
    """Detects outliers among sequences of events, after it has learned from normal ones.

        detector = onward.SequenceDetector(false_alarms=0.01).fit(normal)
        detector.predict(new)                     # 1 for normal, -1 for flagged

    A sequence is a list of events of any length. An event is any value; values with the same `str()` are the
    same event. X is not a matrix, so scikit-learn's checks with matrices of real numbers do not apply.

    Args:
        false_alarms: the false-alarm rate: the share of normal sequences that may be flagged. By default
            0.1 %, or with few sequences the smallest rate that flags two of the calibration set.
        folds: see `LearnSettings`.
        held_out: see `LearnSettings`.
        steps: number of training steps; with None, it depends on the amount of data.
        random_state: seed of the weights and of the folds.

    The signs are those of scikit-learn: lower scores are more unusual. `decision_scores_`, `threshold_`,
    `labels_` and `predict_proba` are those of PyOD: higher is more unusual.

    Attributes:
        detector_: the detector.
        decision_scores_: how unusual each of the training sequences is to the detector, (n,).
        threshold_: a sequence is flagged if its score of this kind is above it.
        labels_: 1 for the training sequences that are flagged, 0 for the others, (n,).
        n_sequences_: the number of sequences that it was learned from.
        offset_: the number that `decision_function` subtracts from `score_samples`.
    """

    def __init__(
        self,
        *,
        false_alarms: float | None = None,
        folds: int | None = None,
        held_out: float | None = None,
        steps: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.false_alarms = false_alarms
        self.folds = folds
        self.held_out = held_out
        self.steps = steps
        self.random_state = random_state

    def fit(self, X: Events, y: Any = None) -> "SequenceDetector":  # noqa: N803 - scikit-learn's name
        """Learns from normal sequences. `y` is not used.

        Raises:
            InputError: a parameter has a wrong value, or X does not contain sequences.
            CorpusError: there are too few sequences.
        """
        settings = LearnSettings(
            folds=self.folds,
            held_out=self.held_out,
            seed=self.random_state,
            rate=self.false_alarms,
            steps=self.steps,
        )
        sequences = _with_names(X)
        self.detector_: Detector = learn_detector(sequences, settings)
        self.n_sequences_ = len(sequences)
        self.threshold_ = self.detector_.calibration.threshold(self.detector_.rate)
        self.offset_ = -self.threshold_
        self.decision_scores_ = -self.score_samples(X)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def score_samples(self, X: Events) -> np.ndarray:  # noqa: N803
        """Returns how normal each sequence is, (n,); lower is more unusual."""
        return -np.array([verdict.score for verdict in self._verdicts(X)])

    def p_values(self, X: Events) -> np.ndarray:  # noqa: N803
        """Returns the estimated share of normal sequences that are at least as unusual, (n,)."""
        return np.array([verdict.p_value for verdict in self._verdicts(X)])

    def predict_proba(self, X: Events) -> np.ndarray:  # noqa: N803
        """Returns p-value and 1 - p-value of each sequence, (n, 2).

        The second column is the share of normal sequences that are less unusual, as in PyOD: it grows with
        the evidence for an outlier, but is no probability of one.
        """
        p_values = self.p_values(X)
        return np.stack([p_values, 1 - p_values], axis=1)

    def decision_function(self, X: Events) -> np.ndarray:  # noqa: N803
        """Returns `score_samples` minus `offset_`, (n,): below 0 for flagged sequences."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Events) -> np.ndarray:  # noqa: N803
        """Returns 1 for normal and -1 for flagged sequences, (n,)."""
        return np.array([-1 if verdict.flagged else 1 for verdict in self._verdicts(X)])

    def fit_predict(self, X: Events, y: Any = None) -> np.ndarray:  # noqa: N803
        """Learns from sequences and returns `predict` of them."""
        return self.fit(X, y).predict(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns the parameters by name. `deep` makes no difference: no parameter is an estimator."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **parameters: Any) -> "SequenceDetector":
        """Changes parameters by name.

        Raises:
            InputError: a parameter does not exist.
        """
        for name, value in parameters.items():
            if name not in _PARAMETERS:
                raise InputError(
                    f"SequenceDetector has no parameter {name!r}",
                    hint=f"its parameters are {', '.join(_PARAMETERS)}",
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"SequenceDetector({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def __sklearn_tags__(self) -> Any:
        """Returns the tags that scikit-learn asks for. Only scikit-learn calls this, so it is installed."""
        from sklearn.utils import Tags, TargetTags  # noqa: PLC0415

        return Tags(estimator_type="outlier_detector", target_tags=TargetTags(required=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "detector_")

    def _verdicts(self, X: Events) -> list[Verdict]:  # noqa: N803
        if not hasattr(self, "detector_"):
            raise _not_fitted_error()
        return self.detector_.judge(_with_names(X), explain=False)


def _not_fitted_error() -> InputError:
    """Returns an error that is also scikit-learn's NotFittedError, if scikit-learn is installed."""
    bases: tuple[type[Exception], ...] = (InputError,)
    if importlib.util.find_spec("sklearn"):
        from sklearn.exceptions import NotFittedError  # noqa: PLC0415 - need not be installed

        bases = (InputError, NotFittedError)
    error = type("NotFittedError", bases, {})
    return error("this SequenceDetector is not fitted", hint="call fit with normal sequences first")


_PARAMETERS = tuple(
    name for name in inspect.signature(SequenceDetector.__init__).parameters if name != "self"
)


def _with_names(sequences: Events) -> list[list[str]]:
    """Returns the sequences with each event as its name."""
    if isinstance(sequences, str) or not hasattr(sequences, "__len__"):
        raise InputError(f"expected a list of sequences of events, got {type(sequences).__name__}")
    for sequence in sequences:
        if isinstance(sequence, str) or not hasattr(sequence, "__len__"):
            raise InputError(
                f"expected each sequence to be a list of events, got {sequence!r:.60}",
                hint="put the events of each sequence in a list",
            )
    return [[str(event) for event in sequence] for sequence in sequences]
