"""Addresses of topics and streams."""

import pytest

from onward.errors import InputError
from onward.scale.address import is_stream, parse_address


@pytest.mark.parametrize(
    ("text", "bootstrap", "name"),
    [
        ("kafka://localhost/web", "localhost:9092", "web"),
        ("kafka://10.0.0.1:19092/web.log_1-a", "10.0.0.1:19092", "web.log_1-a"),
        ("KAFKA://a,b:1,c/web", "a:9092,b:1,c:9092", "web"),
        ("kafka://[::1]:1/web", "[::1]:1", "web"),
        ("redis://localhost/web", "localhost:6379", "web"),
    ],
)
def test_an_address_has_servers_and_a_name(text: str, bootstrap: str, name: str) -> None:
    address = parse_address(text)
    assert (address.bootstrap, address.name) == (bootstrap, name)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "kafka://localhost",
        "kafka://localhost/",
        "kafka:///web",
        "kafka://localhost:x/web",
        "kafka://localhost:70000/web",
        "kafka://localhost/a/b",
        "kafka://localhost/..",
        "kafka://localhost/../../etc",
        "kafka://localhost,/web",
        "kafka://user@localhost/web",
        "redis://a,b/web",
        "http://localhost/web",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected the address of a") as refused:
        parse_address(text)
    assert "localhost" in refused.value.hint


@pytest.mark.parametrize(
    ("source", "expected"), [("kafka://a/b", True), ("redis://a/b", True), ("a.log", False)]
)
def test_a_stream_is_known_by_its_address(source: str, expected: bool) -> None:
    assert is_stream(source) == expected
    assert not is_stream("-")
