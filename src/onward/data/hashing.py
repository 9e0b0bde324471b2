"""Stateless random numbers: each is a hash of its position, so a resumed run draws the same numbers."""

import numpy as np

_MASK = (1 << 64) - 1


def mixed(places: np.ndarray, seed: int, stream: int) -> np.ndarray:
    """Returns 32 random bits for each position (N,), as uint64 below 2^32, by the finaliser of SplitMix64.

    Each pair of seed and stream gives a different sequence. Source: Steele, Lea and Flood 2014.
    """
    key = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03) & _MASK
    x = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) >> np.uint64(32)
