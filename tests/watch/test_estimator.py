"""The detector with the interface of scikit-learn."""

from typing import Any

import jaxtyping
import numpy as np
import pytest

import onward
from onward.errors import InputError

NORMAL = [["a", *["b", "c"] * (1 + i % 3), "d"] for i in range(60)]
ANOMALOUS = [["a", "c", "b", "d"], ["z"], ["a", *["b", "c"] * 30, "d"]]


@pytest.fixture(scope="module")
def fitted() -> onward.SequenceDetector:
    return onward.SequenceDetector(false_alarms=0.05, folds=2, steps=80).fit(NORMAL)


def test_predictions_are_the_sign_of_the_decision(fitted: onward.SequenceDetector) -> None:
    sequences = NORMAL[:20] + ANOMALOUS
    predicted, decision = fitted.predict(sequences), fitted.decision_function(sequences)
    assert predicted.tolist() == [1] * 20 + [-1] * 3
    assert ((decision < 0) == (predicted == -1)).all()
    assert fitted.score_samples(sequences) == pytest.approx(decision + fitted.offset_)
    assert ((fitted.p_values(sequences) <= 0.05) == (predicted == -1)).all()


def test_events_with_the_same_text_are_equal() -> None:
    numbers = [[1, 2, 3]] * 20
    one = onward.SequenceDetector(folds=2, steps=5).fit(numbers).score_samples(numbers)
    two = onward.SequenceDetector(folds=2, steps=5).fit([["1", "2", "3"]] * 20).score_samples(numbers)
    assert (one == two).all()


def test_parameters_can_be_read_and_set() -> None:
    detector = onward.SequenceDetector(false_alarms=0.2)
    parameters = detector.get_params()
    assert parameters == {
        "false_alarms": 0.2, "folds": None, "held_out": None, "steps": None, "random_state": 0,
    }  # fmt: skip
    twin = onward.SequenceDetector(**parameters)
    assert twin.get_params() == parameters
    assert twin.set_params(folds=3) is twin
    assert twin.folds == 3
    assert "folds=3" in repr(twin)
    with pytest.raises(InputError, match="no parameter 'fold'"):
        twin.set_params(fold=3)


def test_fit_refuses_a_wrong_parameter() -> None:
    detector = onward.SequenceDetector(false_alarms=2.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        detector.fit(NORMAL)


def test_a_detector_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="not fitted") as caught:
        onward.SequenceDetector().predict(NORMAL)
    exceptions = pytest.importorskip("sklearn.exceptions")
    assert isinstance(caught.value, exceptions.NotFittedError)


def test_the_attributes_of_pyod_agree_with_the_predictions(fitted: onward.SequenceDetector) -> None:
    assert fitted.decision_scores_ == pytest.approx(-fitted.score_samples(NORMAL))
    assert fitted.labels_.tolist() == [(1 - each) // 2 for each in fitted.predict(NORMAL)]
    normal, odd = fitted.predict_proba(NORMAL), fitted.predict_proba(ANOMALOUS)
    assert normal.shape == (60, 2)
    assert normal.sum(axis=1) == pytest.approx(1.0)
    assert odd[:, 1].min() > normal[:, 1].mean()
    assert (fitted.predict_proba(ANOMALOUS)[:, 0] == fitted.p_values(ANOMALOUS)).all()


def test_the_default_rate_is_one_that_the_data_allow() -> None:
    detector = onward.SequenceDetector(folds=2, steps=80).fit(NORMAL)
    assert 2 / 61 <= detector.detector_.rate < 0.04
    assert detector.predict(ANOMALOUS).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("wrong", ["abc", ["abc", "abd"], 7, [1, 2]])
def test_data_without_sequences_is_refused(
    wrong: Any, fitted: onward.SequenceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # else the type checker refuses it first
    with pytest.raises(InputError, match="expected"):
        fitted.predict(wrong)


@pytest.mark.slow
def test_fitting_again_gives_the_same_scores_and_does_not_change_the_input(
    fitted: onward.SequenceDetector,
) -> None:
    before = [list(sequence) for sequence in NORMAL]
    again = onward.SequenceDetector(false_alarms=0.05, folds=2, steps=80).fit(NORMAL)
    assert np.array_equal(again.score_samples(ANOMALOUS), fitted.score_samples(ANOMALOUS))
    assert before == NORMAL


def test_scikit_learn_accepts_it_as_an_outlier_detector(fitted: onward.SequenceDetector) -> None:
    base = pytest.importorskip("sklearn.base")
    sklearn_exceptions = pytest.importorskip("sklearn.exceptions")
    validation = pytest.importorskip("sklearn.utils.validation")
    clone = base.clone(fitted)
    assert clone.get_params() == fitted.get_params()
    assert not hasattr(clone, "detector_")
    validation.check_is_fitted(fitted)
    with pytest.raises(sklearn_exceptions.NotFittedError):
        validation.check_is_fitted(clone)
    assert base.is_outlier_detector(fitted)
    assert not base.is_classifier(fitted)


@pytest.mark.parametrize(
    "name",
    [
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_it_passes_the_checks_of_scikit_learn_that_use_no_matrix(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    getattr(checks, name)("SequenceDetector", onward.SequenceDetector())


def test_a_pipeline_can_contain_it() -> None:
    pipeline = pytest.importorskip("sklearn.pipeline")
    whole = pipeline.make_pipeline(onward.SequenceDetector(false_alarms=0.05, folds=2, steps=80))
    assert whole.fit(NORMAL).predict(ANOMALOUS).tolist() == [-1, -1, -1]
