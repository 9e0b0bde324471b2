import json

import pytest

from onward.errors import CorpusError, InputError
from onward.watch.detector import Detector
from onward.watch.evaluation.evaluate import Evaluation, evaluate
from onward.watch.scoring.features import FEATURES

USUAL = ["start", "read", "read", "sync", "stop"]
NORMAL = [USUAL] * 3 + [["start", "read", "write", "sync", "stop"]]
ANOMALOUS = {"cut": [["start"]] * 2, "odd": [["boom", "boom"]]}


@pytest.fixture(scope="module")
def evaluation(detector: Detector) -> Evaluation:
    return evaluate(detector, NORMAL, ANOMALOUS, normal_in_all=40)


def test_figures_follow_from_the_flags(evaluation: Evaluation) -> None:
    figures = evaluation.detector
    assert (figures.recall, figures.auc, figures.false_alarm_rate) == (1.0, 1.0, 0.0)
    assert (figures.caught, figures.anomalous, figures.false_alarms, figures.normal) == (3, 3, 0, 4)
    assert figures.precision == figures.f1 == 1.0
    assert evaluation.classes == {"cut": (2, 2), "odd": (1, 1)}
    assert evaluation.figures["new_event"].recall == pytest.approx(1 / 3)
    assert evaluation.events == sum(map(len, [*NORMAL, *ANOMALOUS["cut"], *ANOMALOUS["odd"]])) + 7


def test_each_feature_is_evaluated_alone(evaluation: Evaluation) -> None:
    assert set(evaluation.parts) == set(FEATURES)
    assert evaluation.parts["top"] == 1.0
    assert evaluation.better == {}


def test_duplicates_are_counted_once(evaluation: Evaluation) -> None:
    figures = evaluation.deduplicated["detector"]
    assert (figures.normal, figures.anomalous, figures.scale) == (2, 2, 1.0)


def test_false_alarms_of_a_sample_are_scaled_up(detector: Detector) -> None:
    figures = evaluate(detector, [*NORMAL, ["stop"]], ANOMALOUS, normal_in_all=50).detector
    assert (figures.false_alarms, figures.scale) == (1, 10.0)
    assert figures.precision == pytest.approx(3 / 13)


def test_the_baselines_are_a_field_of_the_json(evaluation: Evaluation) -> None:
    found = json.loads(json.dumps(evaluation.to_json()))
    assert found["scale"] == 10.0
    assert found["classes"]["cut"] == {"caught": 2, "of": 2, "recall": 1.0}
    assert found["baselines"]["new_event"]["recall"] == pytest.approx(1 / 3)
    assert set(found["deduplicated"]["baselines"]) == set(found["baselines"])


def test_the_rate_does_not_hold_if_normal_sequences_are_unlike_the_training_sequences(
    detector: Detector, evaluation: Evaluation
) -> None:
    changed = evaluate(detector, [["start", "compact", "sync", "stop"]] * 20, ANOMALOUS)
    assert evaluation.rate_holds
    assert not changed.rate_holds
    assert sum(changed.alarm_features.values()) == 20


def test_sequences_of_both_labels_are_needed(detector: Detector) -> None:
    for normal, anomalous in (([], ANOMALOUS), (NORMAL, {}), (NORMAL, {"cut": []})):
        with pytest.raises(CorpusError, match="expected normal and anomalous sequences"):
            evaluate(detector, normal, anomalous)


def test_a_sample_larger_than_the_whole_is_refused(detector: Detector) -> None:
    with pytest.raises(InputError, match="expected 4 or more normal sequences in all, got 3"):
        evaluate(detector, NORMAL, ANOMALOUS, normal_in_all=3)
