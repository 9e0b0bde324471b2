"""Times of records as text, in ISO 8601."""

from datetime import UTC, datetime, timedelta

from onward.stored import Finite, checked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def time_text(seconds: float | None) -> str | None:
    """Returns seconds since 1970 in UTC; as whole seconds if the time is outside the years 1 to 9999."""
    if seconds is None:
        return None
    try:
        moment = _EPOCH + round(seconds * 1000) * _MILLISECOND
    except OverflowError:
        return f"{seconds:.0f}"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str | None) -> float | None:
    """Returns the time that `time_text` wrote.

    Raises:
        ValueError: the text is not such a time.
    """
    if text is None:
        return None
    if not text.endswith("Z"):
        return checked(Finite, float(text))
    return (datetime.fromisoformat(text) - _EPOCH) / _MILLISECOND / 1000
