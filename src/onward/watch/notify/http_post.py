"""POST requests to the URL of a target, with a timeout and without redirects."""

import email.utils
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

from onward.errors import InputError
from onward.watch.stream.notifier import DeliveryError

TIMEOUT = 10.0
"""Seconds without a byte after which an attempt fails."""

_FINAL = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
"""Statuses that refuse the content of a request. After any other failure, the same request may succeed."""


class Endpoint:
    """A URL that takes POST requests.

    Args:
        url: an http or https URL.
        option: the option that gave it, for messages.
        timeout: seconds without a byte after which an attempt fails.

    Raises:
        InputError: the URL is not one of http or https, or has a user name or password.

    Attributes:
        id: the beginning of the URL's SHA-256; a URL may hold a secret.
        target: the scheme and the host of the URL, for messages.
    """

    def __init__(self, url: str, option: str, timeout: float = TIMEOUT) -> None:
        parts = _checked(url, option)
        self._url, self._timeout = url, timeout
        self.id = hashlib.sha256(url.encode()).hexdigest()[:16]
        self.target = f"{parts.scheme}://{parts.netloc}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Sends JSON.

        Raises:
            DeliveryError: the response is not a success, or there is none.
        """
        sent = {"Content-Type": "application/json", "User-Agent": "onward"} | dict(headers)
        request = urllib.request.Request(self._url, body, sent, method="POST")
        try:
            self._opener.open(request, timeout=self._timeout).close()
        except urllib.error.HTTPError as error:
            error.close()
            wait = _seconds_of(error.headers.get("Retry-After", ""))
            raise DeliveryError(
                f"got status {error.code}", is_final=error.code in _FINAL, wait=wait
            ) from error
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)  # of a URLError
            reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            raise DeliveryError(reason) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Lets a redirect be an error: notices go to no other host than the one that the user named."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _checked(url: str, option: str) -> SplitResult:
    """Returns the parts of a URL."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or the address not one of IPv6
        parts, is_valid = SplitResult("", "", "", "", ""), False
    if not is_valid or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError(
            f"{option} must be an http or https URL, got {url!r}", hint="write it as https://host/path"
        )
    if "@" in parts.netloc:
        message = f"{option} must be a URL without a user name; the URL for {parts.hostname} has one"
        hint = "other users can see it on the command line; let a proxy in front of the target add it"
        raise InputError(message, hint=hint)
    return parts


def _seconds_of(text: str) -> float | None:
    """Returns the seconds of a Retry-After header, which holds a number or a date; None if it is neither."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
