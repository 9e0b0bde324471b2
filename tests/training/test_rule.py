"""The rule that chooses hyperparameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.training.recipe import find_recipe
from onward.training.rule import CHOSEN, Text, choose, most_passes

SYMBOLS = st.integers(1, 10**9)
SURPRISES = st.none() | st.floats(0.0, 12.0)
TEXTS = st.builds(Text, SYMBOLS, SURPRISES)
PASSES = st.floats(1e-3, 1e4)


@given(text=TEXTS, passes=PASSES)
def test_every_text_gets_settings_in_range(text: Text, passes: float) -> None:
    choice = choose(find_recipe(), (), text, passes=passes)
    assert 1 <= choice.lanes <= find_recipe().lanes
    assert 0 <= choice.dropout < 0.5
    assert 0 <= choice.noise < 0.1
    assert 0 < choice.rate <= find_recipe().rate
    assert most_passes(text) > 0


@given(text=TEXTS, passes=PASSES, further=PASSES)
def test_more_passes_need_more_regularisation(text: Text, passes: float, further: float) -> None:
    few, many = (choose(find_recipe(), (), text, passes=p) for p in (passes, passes + further))
    assert few.dropout <= many.dropout
    assert few.noise <= many.noise


@given(symbols=SYMBOLS, further=SYMBOLS, surprise=SURPRISES)
def test_a_longer_text_has_as_many_lanes_or_more(symbols: int, further: int, surprise: float | None) -> None:
    short, long = (
        choose(find_recipe(), (), Text(n, surprise), passes=1.0) for n in (symbols, symbols + further)
    )
    assert short.lanes <= long.lanes


@pytest.mark.parametrize("name", CHOSEN)
def test_what_the_user_gave_stays(name: str) -> None:
    value = {"lanes": 3, "dropout": 0.5, "noise": 0.4, "rate": 1.0, "muon_rate": 1.0, "warm_up": 7}[name]
    recipe = find_recipe("default", {name: value})
    choice = choose(recipe, {name}, Text(50_000, 1.0), passes=100.0)
    assert getattr(choice, name) == value


@given(symbols=SYMBOLS, further=SYMBOLS, surprise=st.floats(0, 9), larger=st.floats(0, 9))
def test_rates_from_a_base_are_lower_and_grow_with_the_length_and_the_surprise(
    symbols: int, further: int, surprise: float, larger: float
) -> None:
    few, many = Text(symbols, surprise), Text(symbols + further, surprise + larger)
    low, high = (choose(find_recipe(), (), text, passes=1.0) for text in (few, many))
    assert 0 < low.rate <= high.rate < find_recipe().rate
    assert 0 < low.muon_rate <= high.muon_rate < find_recipe().muon_rate
