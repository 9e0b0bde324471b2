"""The rule that chooses hyperparameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.training.recipe import find_recipe
from onward.training.rule import CHOSEN, choose, most_passes

SIZES = st.integers(1, 10**9)
PASSES = st.floats(1e-3, 1e4)


@given(symbols=SIZES, passes=PASSES, has_base=st.booleans())
def test_every_text_gets_settings_in_range(symbols: int, passes: float, has_base: bool) -> None:
    choice = choose(find_recipe(), (), symbols=symbols, passes=passes, has_base=has_base)
    assert 1 <= choice.lanes <= find_recipe().lanes
    assert 0 <= choice.dropout < 0.5
    assert 0 <= choice.noise < 0.1
    assert most_passes(symbols, has_base=has_base) > 0


@given(symbols=SIZES, passes=PASSES, further=PASSES, has_base=st.booleans())
def test_more_passes_need_more_regularisation(
    symbols: int, passes: float, further: float, has_base: bool
) -> None:
    few, many = (
        choose(find_recipe(), (), symbols=symbols, passes=p, has_base=has_base)
        for p in (passes, passes + further)
    )
    assert few.dropout <= many.dropout
    assert few.noise <= many.noise


@given(symbols=SIZES, further=SIZES)
def test_a_longer_text_has_as_many_lanes_or_more(symbols: int, further: int) -> None:
    short, long = (
        choose(find_recipe(), (), symbols=n, passes=1.0, has_base=False) for n in (symbols, symbols + further)
    )
    assert short.lanes <= long.lanes


@pytest.mark.parametrize("name", CHOSEN)
def test_what_the_user_gave_stays(name: str) -> None:
    value = {"lanes": 3, "dropout": 0.5, "noise": 0.4, "rate": 1.0, "muon_rate": 1.0, "warm_up": 7}[name]
    recipe = find_recipe("default", {name: value})
    choice = choose(recipe, {name}, symbols=50_000, passes=100.0, has_base=True)
    assert getattr(choice, name) == value


@given(symbols=SIZES, further=SIZES)
def test_rates_from_a_base_are_lower_and_grow_with_the_text(symbols: int, further: int) -> None:
    short, long = (
        choose(find_recipe(), (), symbols=n, passes=1.0, has_base=True) for n in (symbols, symbols + further)
    )
    assert 0 < short.rate <= long.rate < find_recipe().rate
    assert 0 < short.muon_rate <= long.muon_rate < find_recipe().muon_rate
