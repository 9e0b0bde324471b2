"""The n-gram model agrees with its formula, computed event by event."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END
from onward.watch.scoring.ngram import ORDER, WINDOW, NgramModel

SYMBOLS = 9
RNG = np.random.default_rng(0)
NORMAL = [RNG.integers(4, 7, RNG.integers(0, 9)) for _ in range(60)]
NEW = [np.array(ids, np.int64) for ids in ([], [4], [8, 8], [4, 5, 6, 4, 5, 6, 8], [7, 4, 4, 4, 5])]


def probability(counts: Counter[tuple[int, ...]], context: tuple[int, ...], event: int) -> float:
    """The formula in the docstring of the module."""
    shorter = probability(counts, context[1:], event) if context else 1 / SYMBOLS
    after = {ngram[-1]: count for ngram, count in counts.items() if ngram[:-1] == context}
    if not after:
        return shorter
    return (after.get(event, 0) + len(after) * shorter) / (sum(after.values()) + len(after))


def padded(ids: np.ndarray, order: int) -> list[int]:
    return [BEGIN] * (order - 1) + ids.tolist() + [END]


def count_ngrams(sequences: list[np.ndarray], order: int) -> Counter[tuple[int, ...]]:
    counts: Counter[tuple[int, ...]] = Counter()
    for ids in sequences:
        symbols = padded(ids, order)
        for place in range(order - 1, len(symbols)):
            counts.update(tuple(symbols[place - n : place + 1]) for n in range(order))
    return counts


def expected_bits(ids: np.ndarray, counts: Counter[tuple[int, ...]], order: int) -> list[float]:
    symbols = padded(ids, order)
    return [
        float(-np.log2(probability(counts, tuple(symbols[i - order + 1 : i]), symbols[i])))
        for i in range(order - 1, len(symbols))
    ]


@pytest.mark.parametrize("order", [ORDER, 1, 3, pytest.param(25, marks=pytest.mark.slow)])
def test_bits_follow_the_formula(order: int) -> None:
    """9^25 does not fit into 63 bits, so the codes of long n-grams are hashes."""
    model = NgramModel.of(Sequences.of(NORMAL), SYMBOLS, order=order)
    assert model.order == order
    counts = count_ngrams(NORMAL, order)
    sequences = NEW + NORMAL
    expected = [bits for ids in sequences for bits in expected_bits(ids, counts, order)]
    assert model.bits(Sequences.of(sequences)).tolist() == pytest.approx(expected)


def test_the_share_of_unseen_windows_is_that_of_windows_that_never_occurred() -> None:
    model = NgramModel.of(Sequences.of(NORMAL), SYMBOLS)

    def windows(ids: np.ndarray) -> list[tuple[int, ...]]:
        symbols = padded(ids, WINDOW)
        return [tuple(symbols[i : i + WINDOW]) for i in range(len(symbols) - WINDOW + 1)]

    known = {window for ids in NORMAL for window in windows(ids)}
    found = model.unseen_windows(Sequences.of(NEW + NORMAL[:3]))
    expected = [np.mean([window not in known for window in windows(ids)]) for ids in NEW + NORMAL[:3]]
    assert found.tolist() == pytest.approx(expected)
    assert found[-1] == 0 < found[2]


@pytest.mark.parametrize("ended", [True, False])
def test_a_model_that_is_extended_is_that_of_all_sequences(ended: bool) -> None:
    new = np.array([8, 4, 8])
    model = NgramModel.of(Sequences.of(NORMAL), SYMBOLS).extend(Sequences.of([new]), ended=ended)
    if ended:
        assert model.to_json() == NgramModel.of(Sequences.of([*NORMAL, new]), SYMBOLS).to_json()
    else:
        counts = dict(zip(model.to_json()["codes"][0], model.to_json()["counts"][0], strict=True))
        assert counts[END] == len(NORMAL)
        assert counts[8] == 2


def test_the_rarest_n_grams_are_dropped() -> None:
    model = NgramModel.of(Sequences.of([np.array([4, 4, 4, 5, 5, 6])]), SYMBOLS, most=3)
    found = model.to_json()
    assert found["codes"][0] == [END, 4, 5]  # END and 6 occurred once: the smaller code stays
    assert found["counts"][0] == [1, 3, 2]
    assert all(len(codes) == 3 for codes in found["codes"])
    assert np.isfinite(model.bits(Sequences.of([np.array([6, 7])]))).all()


def test_the_bits_of_single_events_add_up_to_those_of_the_sequence() -> None:
    model = NgramModel.of(Sequences.of(NORMAL), SYMBOLS)
    for ids in NEW:
        symbols = np.array(padded(ids, ORDER))
        before = np.lib.stride_tricks.sliding_window_view(symbols, ORDER - 1)[:-1]
        assert model.bits_of(model.runs_after(before, symbols[ORDER - 1 :])).tolist() == pytest.approx(
            model.bits(Sequences.of([ids])).tolist()
        )


def test_long_n_grams_of_many_symbols_have_codes_too() -> None:
    symbols = 10_004
    model = NgramModel.of(Sequences.of(NORMAL), symbols)
    assert all(0 <= min(codes) <= max(codes) < 1 << 63 for codes in model.to_json()["codes"])
    bits = model.bits_of(model.runs_after(np.full((1, ORDER - 1), BEGIN), np.array([NORMAL[0][0]])))
    assert np.isfinite(bits).all()
    again = NgramModel.from_json(json.loads(json.dumps(model.to_json())), symbols)
    both = (each.bits(Sequences.of(NEW)).tolist() for each in (model, again))
    assert next(both) == next(both)


def test_the_model_of_a_text_predicts_all_symbols_after_a_context() -> None:
    text = NORMAL[0].tolist() * 3 + [4, 5, 6, 5, 4]
    model = NgramModel.of_text(np.array(text), SYMBOLS, 4)
    counts: Counter[tuple[int, ...]] = Counter()
    for length in range(1, 5):
        counts.update(tuple(text[i : i + length]) for i in range(len(text) - length + 1))
    for context in ((), (4,), (8,), (5, 6), (4, 5, 6), (6, 6, 6)):
        shares = np.full(SYMBOLS, 1 / SYMBOLS)
        for start in range(len(context), -1, -1):
            shares = model.refine(context[start:], shares)
        assert shares.sum() == pytest.approx(1.0)
        assert shares.tolist() == pytest.approx(
            [probability(counts, context, event) for event in range(SYMBOLS)]
        )


def test_the_order_for_a_text_must_fit_into_63_bits() -> None:
    with pytest.raises(ValueError, match="got 20 for 9 symbols"):
        NgramModel.of_text(np.array([4, 5]), SYMBOLS, 20)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return NgramModel.of(Sequences.of(NORMAL), SYMBOLS).to_json()


def test_json_restores_the_model(data: dict[str, Any]) -> None:
    again = NgramModel.from_json(json.loads(json.dumps(data)), SYMBOLS)
    expected = NgramModel.of(Sequences.of(NORMAL), SYMBOLS).bits(Sequences.of(NEW))
    assert again.bits(Sequences.of(NEW)).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": 10**12}, "expected n-grams for 9 symbols"),
        ({"symbols": 9.0}, "symbols"),
        ({"codes": [], "counts": []}, "lengths"),
        ({"codes": [[4]], "counts": []}, "lengths"),
        ({"codes": [[]] * ORDER, "counts": [[]] * ORDER}, "count of 1 or more"),
        ({"codes": [[4, 5]] * ORDER, "counts": [[1]] * ORDER}, "count of 1 or more"),
        ({"codes": [[4]] * ORDER, "counts": [[0]] * ORDER}, "count of 1 or more"),
        ({"codes": [[5, 4]] * ORDER, "counts": [[1, 1]] * ORDER}, "ascend"),
        ({"codes": [[9]] * ORDER, "counts": [[1]] * ORDER}, "below 9"),
        ({"codes": [[-1]] * ORDER, "counts": [[1]] * ORDER}, "ascend"),
        ({"codes": [[4.5]], "counts": [[1]]}, "whole numbers"),
        ({"codes": [[2**70]], "counts": [[1]]}, "whole numbers"),
        ({"codes": [["a"]], "counts": [[1]]}, "whole numbers"),
    ],
)
def test_data_that_does_not_fit_is_refused(
    change: dict[str, Any], message: str, data: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=message):
        NgramModel.from_json(data | change, SYMBOLS)
