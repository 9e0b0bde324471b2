"""The n-gram against a reckoning by its formula, event by event."""

import json
from collections import Counter

import numpy as np
import pytest

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END
from onward.watch.scoring import ngram as module
from onward.watch.scoring.ngram import ORDER, Grams

SYMBOLS = 9
RNG = np.random.default_rng(0)
NORMAL = [RNG.integers(4, 7, RNG.integers(0, 9)) for _ in range(60)]
NEW = [np.array(ids, np.int64) for ids in ([], [4], [8, 8], [4, 5, 6, 4, 5, 6, 8], [7, 4, 4, 4, 5])]


def share(runs: Counter[tuple[int, ...]], context: tuple[int, ...], event: int) -> float:
    """The probability by the formula at the head of the module."""
    shorter = share(runs, context[1:], event) if context else 1 / SYMBOLS
    after = {run[-1]: count for run, count in runs.items() if run[:-1] == context}
    if not after:
        return shorter
    return (after.get(event, 0) + len(after) * shorter) / (sum(after.values()) + len(after))


def runs_of(sequences: list[np.ndarray]) -> Counter[tuple[int, ...]]:
    runs: Counter[tuple[int, ...]] = Counter()
    for ids in sequences:
        padded = [BEGIN] * (ORDER - 1) + ids.tolist() + [END]
        for place in range(ORDER - 1, len(padded)):
            runs.update(tuple(padded[place - n : place + 1]) for n in range(ORDER))
    return runs


def test_bits_are_those_of_the_formula():
    runs = runs_of(NORMAL)
    found = Grams.of(Sequences.of(NORMAL), SYMBOLS)
    for place, (largest, mean) in enumerate(
        zip(*found.largest_and_mean(Sequences.of(NEW + NORMAL)), strict=True)
    ):
        padded = [BEGIN] * (ORDER - 1) + (NEW + NORMAL)[place].tolist() + [END]
        bits = [
            -np.log2(share(runs, tuple(padded[i - ORDER + 1 : i]), padded[i]))
            for i in range(ORDER - 1, len(padded))
        ]
        assert largest == pytest.approx(max(bits))
        assert mean == pytest.approx(np.mean(bits))


def test_the_rarest_runs_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GRAMS", 3)
    found = Grams.of(Sequences.of([np.array([4, 4, 4, 5, 5, 6])]), SYMBOLS)
    assert found.codes[0].tolist() == [END, 4, 5]  # 6 and END came once: of equals the first stays
    assert found.counts[0].tolist() == [1, 3, 2]
    assert all(len(codes) == 3 for codes in found.codes)
    largest, _ = found.largest_and_mean(Sequences.of([np.array([6, 7])]))
    assert np.isfinite(largest).all()


def test_plain_values_hold_all_of_it():
    found = Grams.of(Sequences.of(NORMAL), SYMBOLS)
    again = Grams.from_json(json.loads(json.dumps(found.to_json())))
    for one, two in zip(
        found.largest_and_mean(Sequences.of(NEW)), again.largest_and_mean(Sequences.of(NEW)), strict=True
    ):
        assert np.array_equal(one, two)


def test_one_event_by_what_stood_before_it():
    found = Grams.of(Sequences.of(NORMAL), SYMBOLS)
    totals = found.totals(Sequences.of(NEW))
    for ids, total in zip(NEW, totals, strict=True):
        padded = np.array([BEGIN] * (ORDER - 1) + ids.tolist() + [END])
        before = np.lib.stride_tricks.sliding_window_view(padded, ORDER - 1)[:-1]
        bits = found.bits_after(before, padded[ORDER - 1 :])
        assert bits.sum() == pytest.approx(total)


@pytest.mark.parametrize(("symbols", "order"), [(4, 6), (1448, 6), (1449, 5), (10_004, 4)])
def test_runs_are_as_long_as_their_numbers_allow(symbols: int, order: int):
    assert module.order_of(symbols) == order
    found = Grams.of(Sequences.of(NORMAL), symbols)
    assert len(found.codes) == order
    assert all((codes >= 0).all() for codes in found.codes)
    bits = found.bits_after(np.full((1, ORDER - 1), BEGIN), np.array([NORMAL[0][0]]))
    assert np.isfinite(bits).all()
