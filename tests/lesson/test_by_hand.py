"""Compares the passes by hand with finite differences, with their parts, and with torch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from onward.lesson import by_hand
from onward.lesson.by_hand import Weights, backward, first_weights, forward
from onward.lesson.rung import LessonSettings
from onward.lesson.text import read_text

Small = tuple[Weights, np.ndarray, np.ndarray]

SYMBOLS, HIDDEN, STEPS = 7, 5, 8
TOLERANCE = 1e-7


@pytest.fixture
def small() -> Small:
    """Returns random weights, a sequence and its targets, in float64."""
    random = np.random.default_rng(0)
    weights = first_weights(SYMBOLS, hidden=HIDDEN, dtype=np.float64)
    weights = Weights(*(w + 0.3 * random.standard_normal(w.shape) for w in weights))
    ids = random.integers(0, SYMBOLS, STEPS + 1)
    one_hot = np.eye(SYMBOLS)
    return weights, one_hot[ids[:-1]], one_hot[ids[1:]]


def greatest(found: list[tuple[str, float, float]]) -> float:
    return max(abs(hand - difference) for _, hand, difference in found)


def test_every_derivative_equals_the_finite_difference(small: Small) -> None:
    weights, x, y = small
    found = list(by_hand.finite_differences(weights, x, y, each=10_000))
    assert len(found) == sum(w.size for w in weights)
    assert {name for name, _, _ in found} == set(Weights._fields)
    assert greatest(found) < TOLERANCE


def test_derivatives_of_the_full_network_are_right() -> None:
    assert greatest(by_hand.check(read_text("pydoc"), seed=0, each=10)) < TOLERANCE


def test_checking_does_not_change_the_weights(small: Small) -> None:
    weights, x, y = small
    before = [w.copy() for w in weights]
    list(by_hand.finite_differences(weights, x, y, each=5))
    assert all(np.array_equal(a, b) for a, b in zip(before, weights, strict=True))


def test_weights_that_change_during_the_backward_pass_give_wrong_derivatives(small: Small) -> None:
    """The lesson's first mistake: earlier steps used weights that later steps had already updated."""
    weights, x, y = small
    h, p = forward(weights, x)
    right = backward(weights, x, y, h, p)
    moved = weights._replace(orange=weights.orange - 0.01 * right.orange)
    assert np.abs(backward(moved, x, y, h, p).green - right.green).max() > 1000 * TOLERANCE


def test_gradients_are_sums_of_outer_products(small: Small) -> None:
    weights, x, y = small
    h, p = forward(weights, x)
    gradients = backward(weights, x, y, h, p)
    blue = sum(np.outer(h[t + 1], p[t] - y[t]) for t in range(STEPS))
    np.testing.assert_allclose(gradients.blue, blue, atol=1e-12)


def test_the_gradient_of_softmax_and_cross_entropy_is_p_minus_y() -> None:
    random = np.random.default_rng(0)
    p = by_hand.softmax(random.standard_normal((4, SYMBOLS)))
    y = np.eye(SYMBOLS)[[0, 3, 3, 6]]
    apart = by_hand.softmax_back(p, by_hand.cross_entropy_slope(p, y))
    np.testing.assert_allclose(apart, p - y, atol=1e-12)


def test_the_error_of_a_probability_of_zero_is_finite() -> None:
    p, y = np.array([[0.0, 1.0]], np.float32), np.array([[1.0, 0.0]], np.float32)
    assert 80 < by_hand.cross_entropy(p, y) < 100


def test_softmax_of_large_logits_is_finite() -> None:
    np.testing.assert_allclose(by_hand.softmax(np.array([1000.0, 1000.0, -1000.0])), [0.5, 0.5, 0])


def test_relu_and_its_slope() -> None:
    a = np.array([-1.0, 0.0, 2.0])
    assert by_hand.relu(a).tolist() == [0, 0, 2]
    assert by_hand.relu_slope(by_hand.relu(a)).tolist() == [0, 0, 1]


def test_the_forward_pass_equals_torch(small: Small) -> None:
    weights, x, _ = small
    green, green_bias, orange, orange_bias, blue, blue_bias = map(torch.from_numpy, weights)
    rnn = torch.nn.RNN(SYMBOLS, HIDDEN, nonlinearity="relu").double()
    with torch.no_grad():
        for name, value in zip(
            ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
            (green.T, orange.T, green_bias, orange_bias),
            strict=True,
        ):
            getattr(rnn, name).copy_(value)
        h, _ = rnn(torch.from_numpy(x))
        expected = (h @ blue + blue_bias).softmax(-1)
    np.testing.assert_allclose(forward(weights, x)[1], expected.numpy(), atol=1e-12)


def test_learning_returns_the_error_before_the_update_and_lowers_it(small: Small) -> None:
    weights, x, y = small
    before = by_hand.error_of(weights, x, y)
    assert by_hand.learn(weights, x, y, 0.01) == pytest.approx(before)
    assert by_hand.error_of(weights, x, y) < before - 0.1


def test_the_end_of_the_text_is_evaluated_before_training_on_it() -> None:
    text = read_text("pydoc")
    learned: list[int] = []
    evaluated: list[int] = []

    def learn(x: np.ndarray, y: np.ndarray) -> float:
        learned.append(len(evaluated))
        return 8.0

    def predict(x: np.ndarray) -> np.ndarray:
        evaluated.append(len(learned))
        return np.full(x.shape, 0.5)

    means, held_out = by_hand.one_pass(
        text, LessonSettings(share=1 / 75, report=lambda _: None), learn, predict
    )
    assert means == [8.0]
    assert len(learned) == 1000
    assert set(evaluated) == {999}
    assert held_out == pytest.approx(8 * np.log(2))


@pytest.mark.slow
def test_a_short_run_learns(shared_data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(shared_data))
    lines: list[str] = []
    outcome = by_hand.run(LessonSettings(share=0.05, pictures=tmp_path, report=lines.append))
    assert outcome.figure < 20.5
    assert outcome.details["derivatives_differ_by"] < TOLERANCE
    assert len(lines) == 5
    assert outcome.pictures[0].stat().st_size > 10_000
