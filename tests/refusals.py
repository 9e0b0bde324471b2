"""Counts how often changed files are refused, and checks the errors."""

from collections.abc import Callable

from onward.errors import OnwardError


def count_refusals(count: int, use: Callable[[int], None]) -> int:
    """Uses changed files by number. Each use must work or fail with an error that a person can read.

    Args:
        count: the number of files.
        use: makes the file of a number, and reads it.

    Returns:
        The number of files that were refused.
    """
    refused = 0
    for number in range(count):
        try:
            use(number)
        except OnwardError as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 2000 and error.hint, number
    return refused
