"""Clients are told apart by their addresses, and the pages of the server from programs."""

import pytest

from onward.serve.http.clients import Client, client_of


def scope(address: str, site: str = "") -> dict[str, object]:
    headers = [(b"sec-fetch-site", site.encode())] if site else []
    return {"type": "http", "client": (address, 1234), "headers": headers}


def test_a_page_of_the_server_is_not_a_program_of_the_same_machine() -> None:
    assert client_of(scope("127.0.0.1")) == Client("127.0.0.1", False)
    assert client_of(scope("127.0.0.1", "cross-site")) == Client("127.0.0.1", False)
    assert client_of(scope("127.0.0.1", "same-origin")) == Client("127.0.0.1", True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),  # a machine chooses the second half of its address
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_addresses_of_one_network_of_version_6_are_one_client(one: str, other: str, same: bool) -> None:
    assert (client_of(scope(one)) == client_of(scope(other))) is same
