"""Pydantic types for the header of a detector's file: numbers within limits, and sorted arrays.

A file may come from an untrusted source, so a number is checked before it decides how much memory is
allocated.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import PlainValidator

from onward.stored import LARGEST


def integers(data: Any) -> np.ndarray:
    """Returns a list of whole numbers as an int64 array (n,).

    Raises:
        ValueError: the data is something else.
    """
    array = np.array(_as_list(data) or np.zeros(0, np.int64))
    if array.ndim != 1 or array.dtype != np.int64:
        raise ValueError("expected a list of whole numbers in 64 bits")
    return array


def _sorted_floats(data: Any) -> np.ndarray:
    array = np.array(_as_list(data))
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "if":
        raise ValueError("expected a list of one or more numbers")
    array = array.astype(np.float64)
    if not (np.abs(array) <= LARGEST).all() or (np.diff(array) < 0).any():
        raise ValueError(f"expected numbers up to {LARGEST:g} in ascending order")
    return array


def _as_list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise ValueError(f"expected a list, found {type(data).__name__}")
    return data


Integers = Annotated[np.ndarray, PlainValidator(integers)]
"""An int64 array (n,), from a list."""

SortedFloats = Annotated[np.ndarray, PlainValidator(_sorted_floats)]
"""A float64 array (n,) of one or more numbers up to `LARGEST` in ascending order, from a list."""


def check_codes(codes: np.ndarray, limit: int, what: str) -> None:
    """Checks that codes (n,) are distinct, in ascending order, and from 0 to below a limit.

    Raises:
        ValueError: they are not.
    """
    if len(codes) and (codes[0] < 0 or codes[-1] >= limit or (np.diff(codes) <= 0).any()):
        raise ValueError(f"expected distinct codes of {what} in ascending order, from 0 to below {limit:,}")


def check_symbols(found: int, expected: int, what: str) -> None:
    """Checks that a part of the header is for as many symbols as the model.

    Raises:
        ValueError: it is not.
    """
    if found != expected:
        raise ValueError(f"expected {what} for {expected:,} symbols, as the detector has, found {found:,}")
