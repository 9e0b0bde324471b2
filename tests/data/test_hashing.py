import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onward.data.hashing import mixed


def test_half_of_the_bits_are_set_and_half_change_with_the_place() -> None:
    bits = np.unpackbits(mixed(np.arange(20_000), 1, 2).astype("<u4").view(np.uint8).reshape(-1, 4), axis=1)
    assert np.abs(bits.mean(0) - 0.5).max() < 0.02
    assert np.abs((bits[1:] ^ bits[:-1]).mean(0) - 0.5).max() < 0.02


@given(st.integers(-(2**65), 2**65), st.integers(0, 2**40), st.integers(-1, 2**62))
def test_a_number_depends_only_on_its_place(seed: int, stream: int, place: int) -> None:
    alone = mixed(np.array([place]), seed, stream)
    among = mixed(np.array([3, place, 5]), seed, stream)
    assert alone[0] == among[1] < 2**32


def test_each_seed_and_stream_has_its_own_sequence() -> None:
    places = np.arange(64)
    found = {mixed(places, seed, stream).tobytes() for seed in range(20) for stream in range(20)}
    assert len(found) == 400
