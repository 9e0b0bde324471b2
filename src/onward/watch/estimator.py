"""A detector with the conventions of scikit-learn, for sequences of events; the package is not needed."""

import inspect
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from onward.errors import InputError
from onward.watch.detector import FALSE_ALARMS, Detector
from onward.watch.scoring.features import Verdict
from onward.watch.training import FOLDS, LearnSettings, learn_detector

Events = Sequence[Sequence[Hashable]]


class SequenceDetector:
    """Outlier detection on sequences: learns from normal ones, and flags those that deviate.

        detector = onward.SequenceDetector(false_alarms=0.01).fit(normal)
        detector.predict(new)                     # 1 for normal, -1 for flagged

    Sequences are lists of events; an event is any value, known by its text. They may have any length, so X is
    no matrix, and the checks of scikit-learn that feed matrices of real numbers do not apply.

    Args:
        false_alarms: share of normal sequences that may be flagged.
        folds: see `LearnSettings`.
        held_out: see `LearnSettings`.
        steps: of training; None: as many as the data ask for.
        random_state: of the weights, and of who is held out when.

    Attributes:
        detector_: what was learned.
        n_sequences_: that it was learned from.
        offset_: what `decision_function` subtracts from `score_samples`.
    """

    def __init__(
        self,
        *,
        false_alarms: float = FALSE_ALARMS,
        folds: int = FOLDS,
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
        """Learns from normal sequences; y is not used.

        Raises:
            InputError: a parameter that cannot have that value, or what are no sequences.
            CorpusError: too few sequences.
        """
        learning = LearnSettings(
            folds=self.folds,
            held_out=self.held_out,
            seed=self.random_state,
            rate=self.false_alarms,
            steps=self.steps,
        )
        sequences = _named(X)
        self.detector_: Detector = learn_detector(sequences, learning)
        self.n_sequences_ = len(sequences)
        self.offset_ = -self.detector_.calibration.threshold(self.false_alarms)
        return self

    def score_samples(self, X: Events) -> np.ndarray:  # noqa: N803
        """How normal each sequence is, (n,); lower is stranger."""
        return -np.array([verdict.score for verdict in self._verdicts(X)])

    def p_values(self, X: Events) -> np.ndarray:  # noqa: N803
        """Share of normal sequences that are at least as strange, (n,)."""
        return np.array([verdict.p_value for verdict in self._verdicts(X)])

    def decision_function(self, X: Events) -> np.ndarray:  # noqa: N803
        """`score_samples` less `offset_`, (n,): below 0 for those that are flagged."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Events) -> np.ndarray:  # noqa: N803
        """1 for normal, -1 for flagged, (n,)."""
        return np.array([-1 if verdict.flagged else 1 for verdict in self._verdicts(X)])

    def fit_predict(self, X: Events, y: Any = None) -> np.ndarray:  # noqa: N803
        """`predict` of the sequences that it learned from."""
        return self.fit(X, y).predict(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; there are none within others."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **parameters: Any) -> "SequenceDetector":
        """Changes parameters.

        Raises:
            InputError: there is no such parameter.
        """
        for name, value in parameters.items():
            if name not in _PARAMETERS:
                raise InputError(
                    f"there is no parameter {name!r}", hint=f"there are {', '.join(_PARAMETERS)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The class with its parameters."""
        return f"SequenceDetector({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks an estimator for; it is there if it asks."""
        from sklearn.utils import Tags, TargetTags  # noqa: PLC0415

        return Tags(estimator_type="outlier_detector", target_tags=TargetTags(required=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "detector_")

    def _verdicts(self, X: Events) -> list[Verdict]:  # noqa: N803
        if not hasattr(self, "detector_"):
            raise InputError(
                "this SequenceDetector is not fitted", hint="call fit with normal sequences first"
            )
        return self.detector_.judge(_named(X), explain=False)


_PARAMETERS = tuple(
    name for name in inspect.signature(SequenceDetector.__init__).parameters if name != "self"
)


def _named(sequences: Events) -> list[list[str]]:
    """Events as text."""
    if isinstance(sequences, str) or not hasattr(sequences, "__len__"):
        raise InputError(f"expected a list of sequences of events, got {type(sequences).__name__}")
    for sequence in sequences:
        if isinstance(sequence, str) or not hasattr(sequence, "__len__"):
            raise InputError(
                f"expected each sequence to be a list of events, got {sequence!r:.60}",
                hint="put the events of each sequence in a list",
            )
    return [[str(event) for event in sequence] for sequence in sequences]
