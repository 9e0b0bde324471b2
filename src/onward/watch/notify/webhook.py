"""Webhooks: each notice is POSTed as JSON, signed as the Standard Webhooks specification says.

See https://www.standardwebhooks.com. The signature is the HMAC-SHA256 of "ID.TIMESTAMP.BODY".
"""

import base64
import binascii
import hashlib
import hmac
import time

from onward.errors import InputError
from onward.printable import printable_json
from onward.watch.notify.http_post import Endpoint
from onward.watch.stream.store import Notice

_ENCODED = "whsec_"


class Webhook:
    """A webhook. A status of 200 to 299 acknowledges a notice.

    Args:
        endpoint: its URL.
        detector: name of the detector, for the notices.
        secret: the key of the signatures; "whsec_" marks base64. None: notices are not signed.

    Raises:
        InputError: the secret is empty, or not base64.
    """

    def __init__(self, endpoint: Endpoint, detector: str, secret: str | None = None) -> None:
        self._endpoint, self._detector = endpoint, detector
        self._key = None if secret is None else _key_of(secret)
        self.repeat_seconds: float | None = None  # see `Notifier`
        self.id, self.target = f"webhook {endpoint.id}", endpoint.target

    def send(self, name: str, notice: Notice) -> None:
        """See `Notifier.send`."""
        content = {"id": name, "detector": self._detector} | notice.to_json()
        body, timestamp = printable_json(content).encode(), str(int(time.time()))
        headers = {"Idempotency-Key": name, "Webhook-Id": name, "Webhook-Timestamp": timestamp}
        if self._key is not None:
            digest = hmac.digest(self._key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
            headers["Webhook-Signature"] = f"v1,{base64.b64encode(digest).decode()}"
        self._endpoint.post(body, headers)


def _key_of(secret: str) -> bytes:
    try:
        encoded = secret.startswith(_ENCODED)
        key = base64.b64decode(secret[len(_ENCODED) :], validate=True) if encoded else secret.encode()
    except binascii.Error as error:
        hint = f"after {_ENCODED}, the secret must be base64"
        raise InputError(f"the secret of the webhooks is not base64: {error}", hint=hint) from error
    if not key:
        raise InputError(
            "expected a secret for the webhooks, got an empty one",
            hint="write a secret into the file of --webhook-secret, or into ONWARD_WEBHOOK_SECRET",
        )
    return key
