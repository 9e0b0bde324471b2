"""What two texts have in common."""

from bisect import bisect_left


def common_beginning(first: str, second: str) -> int:
    """Returns the length of the common beginning of two texts."""
    shorter = min(len(first), len(second))
    return bisect_left(range(shorter), True, key=lambda i: first[: i + 1] != second[: i + 1])


def common_end(first: str, second: str, beginning: int) -> int:
    """Returns the length of the common end of two texts, without a common beginning of a given length."""
    longest = min(len(first), len(second)) - beginning
    return bisect_left(
        range(longest), True, key=lambda i: first[len(first) - i - 1 :] != second[len(second) - i - 1 :]
    )
