"""Nats, bits and perplexity."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.units import as_percent, nats_to_bits, perplexity


def test_a_fair_coin_is_one_bit() -> None:
    assert nats_to_bits(math.log(2)) == 1.0
    assert nats_to_bits(math.log(256)) == pytest.approx(8.0)


@given(st.integers(1, 100_000))
def test_perplexity_counts_equally_likely_symbols(symbols: int) -> None:
    assert perplexity(math.log(symbols)) == pytest.approx(symbols)


def test_percentages_have_three_digits_and_rare_ones_an_exponent() -> None:
    assert [as_percent(p) for p in (1.0, 0.8312, 0.0042, 2e-7)] == ["100", "83.1", "0.42", "2e-05"]
