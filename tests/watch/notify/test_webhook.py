"""Webhooks: signed JSON over HTTP, and what counts as delivered."""

import base64
import hashlib
import hmac
import time

import pytest
from tests.watch.notify.receivers import (
    CLOSE,
    GARBAGE,
    HANG,
    HttpReceiver,
    alarm,
    closed,
    free_port,
    http_receiver,
)

from onward.errors import InputError
from onward.watch.notify.http_post import Endpoint
from onward.watch.notify.webhook import Webhook
from onward.watch.stream.notifier import DeliveryError


def webhook(receiver: HttpReceiver, secret: str | None = None, timeout: float = 5.0) -> Webhook:
    return Webhook(Endpoint(f"{receiver.url}/hook?to=me", "--webhook", timeout), "audit", secret)


def failure(webhook: Webhook) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        webhook.send("w-1", alarm(1))
    return caught.value


def test_notices_are_posted_as_json() -> None:
    with http_receiver(200, 204) as receiver:
        for number, notice in enumerate((alarm(1), closed(1)), 1):
            webhook(receiver).send(f"w-{number}", notice)
    first, second = receiver.bodies
    assert first == {"id": "w-1", "detector": "audit"} | alarm(1).to_json()
    assert second == {"id": "w-2", "detector": "audit"} | closed(1).to_json()
    assert receiver.names == ["w-1", "w-2"]
    path, headers, _ = receiver.requests[0]
    assert path == "/hook?to=me"
    assert headers["Content-Type"] == "application/json"
    assert headers["Webhook-Signature"] is None


@pytest.mark.parametrize(
    ("secret", "key"),
    [("s3cret", b"s3cret"), ("whsec_" + base64.b64encode(b"\x00\xff key").decode(), b"\x00\xff key")],
)
def test_the_signature_covers_name_time_and_body(secret: str, key: bytes) -> None:
    with http_receiver() as receiver:
        webhook(receiver, secret).send("w-1", alarm(1))
    ((_, headers, body),) = receiver.requests
    assert abs(int(headers["Webhook-Timestamp"]) - time.time()) < 60
    signed = b".".join([headers["Webhook-Id"].encode(), headers["Webhook-Timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["Webhook-Signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (500, "got status 500"),
        (503, "got status 503"),
        (404, "got status 404"),
        (CLOSE, "Remote end closed connection"),
        (GARBAGE, "this is no HTTP"),
        (HANG, "timed out"),
    ],
)
def test_a_failure_is_to_be_tried_again(answer: int | str, said: str) -> None:
    with http_receiver(answer) as receiver:
        error = failure(webhook(receiver, timeout=0.2))
        assert said in str(error) and not error.is_final
        receiver.released.set()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_status_that_refuses_the_content_is_final(status: int) -> None:
    with http_receiver(status) as receiver:
        assert failure(webhook(receiver)).is_final


def test_a_port_that_nobody_listens_on_is_tried_again() -> None:
    error = failure(Webhook(Endpoint(f"http://127.0.0.1:{free_port()}", "--webhook"), "audit"))
    assert "refused" in str(error) and not error.is_final


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with http_receiver() as other, http_receiver(status, Location=other.url) as receiver:
        error = failure(webhook(receiver))
        assert str(error) == f"got status {status}" and not error.is_final
        assert other.requests == []


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None), ("-3", None)]
)
def test_the_time_of_the_next_attempt_is_read(header: str, seconds: float | None) -> None:
    with http_receiver(429, Retry_After=header) as receiver:
        assert failure(webhook(receiver)).wait == seconds


@pytest.mark.parametrize(
    "url",
    ["ftp://host/", "file:///etc/passwd", "host", "http://", "http://host:x/", "http://a b/", "http://ü.de",
     "http://host/\n", ""],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="--webhook must be an http or https URL, got"):
        Endpoint(url, "--webhook")


def test_a_url_with_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        Endpoint("https://me:secret@host/path", "--webhook")
    assert "secret" not in str(caught.value) + caught.value.hint


def test_messages_do_not_show_the_path_of_a_url() -> None:
    endpoint = Endpoint("https://hooks.example.org:8443/T00/secret?token=secret", "--webhook")
    assert endpoint.target == "https://hooks.example.org:8443"
    assert "secret" not in endpoint.id


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_###"])
def test_secrets_that_sign_nothing_are_refused(secret: str) -> None:
    with http_receiver() as receiver, pytest.raises(InputError, match="secret"):
        webhook(receiver, secret)
