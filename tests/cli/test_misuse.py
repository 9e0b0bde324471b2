"""Errors of wrong command lines."""

import pytest
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "x", "--port", "99999"], "expected --port to be at most 65535, got '99999'"),
        (["serve", "x", "--memory", "0"], "expected --memory to be at least 1, got '0'"),
        (["write", "x", "--top-k", "2.5"], "expected --top-k to be a whole number, got '2.5'"),
        (["train", "x", "-m", "a\x1bb"], r"expected --minutes to be a number, got 'a\x1bb'"),
        (["lesson", "--share", "2"], "expected --share to be at most 1, got '2'"),
        (
            ["score", "x", "y", "--per", "p"],
            "expected --per to be one of 'total', 'file', 'line', 'symbol', got 'p'",
        ),
        (["serve", "x", "-c", "/nope"], "Invalid value for '--corpus' / '-c': path '/nope' does not exist."),
        (["train"], "Missing argument 'SOURCE'."),
    ],
    ids=lambda value: value[-2] if isinstance(value, list) and len(value) > 1 else "",
)
def test_errors_name_the_expected_and_the_received_value(
    onward: Command, arguments: list[str], message: str
) -> None:
    ran = onward(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [f"error: {message}", f"hint: onward {arguments[0]} --help"]
