"""Times: numbers of any unit, and the formats of common logs."""

from datetime import UTC, datetime

import numpy as np
import pytest

from onward.watch.input.times import parse_time

MOMENT = datetime(2026, 11, 1, 10, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "1793527200",
        "1793527200.0",
        "1793527200000",
        "1793527200000000",
        "1793527200000000000",
        "1.7935272e9",
        "2026-11-01T10:00:00Z",
        "2026-11-01T11:00:00+01:00",
        "2026-11-01 10:00:00",
        " 2026-11-01 10:00:00.000 ",
        "2026-11-01 10:00:00,000",
        "20261101T100000Z",
        "261101 100000",
        "20261101-10:0:00:000",
        "2026-11-01-10.00.00.000000",
        "01/Nov/2026:10:00:00 +0000",
        "[01/Nov/2026:11:00:00 +0100]",
        "Sun, 01 Nov 2026 10:00:00 +0000",
        "Sun, 1 Nov 2026 10:00:00 GMT",
        "1 Nov 2026 10:00:00 -0000",
        "Sun, 01 Nov 2026 05:00:00 EST",
        "Sun Nov  1 10:00:00 2026",
        "Sun Nov 01 10:00:00.000000 2026",
        "2026/11/01 10:00:00",
        "2026/11/1 10:00:00 UTC",
        "Nov 1, 2026 10:00:00 AM",
        "Sunday, November 1, 2026 10:00:00",
    ],
)
def test_every_format_gives_the_same_time(text: str) -> None:
    assert parse_time(text) == pytest.approx(MOMENT, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("12.5", 12.5),
        ("-86400", -86400.0),
        ("1700000000123", 1700000000.123),
        ("1700000000123456", 1700000000.123456),
        ("1700000000123456789", 1700000000.1234568),
        ("-1700000000123456", -1700000000.123456),
    ],
)
def test_the_size_of_a_number_gives_its_unit(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds, abs=1e-6)


def test_a_time_without_a_year_may_have_numbers_only() -> None:
    assert parse_time("11-01 10:00:00.500") == parse_time("Nov 01 10:00:00.500")
    with pytest.raises(ValueError, match="expected a time"):
        parse_time("13-01 10:00:00")


def test_fractions_of_a_second_are_kept() -> None:
    assert parse_time("01/Nov/2026:10:00:00.250 +0000") == pytest.approx(MOMENT + 0.25)
    assert parse_time("2026-11-01T10:00:00.250Z") == pytest.approx(MOMENT + 0.25)


def test_syslog_times_have_no_year_and_are_never_in_the_future() -> None:
    now = datetime.now(UTC)
    earlier, later = (datetime.fromtimestamp(now.timestamp() + days * 86400, UTC) for days in (-2, 3))
    for moment, year in ((earlier, earlier.year), (later, later.year - 1)):
        text = f"{moment:%b} {moment.day:2d} 10:00:00"
        if (moment.month, moment.day) == (2, 29):
            continue  # a year before or after has no such day
        assert (
            parse_time(text)
            == moment.replace(year=year, hour=10, minute=0, second=0, microsecond=0).timestamp()
        )
    assert parse_time("Nov  1 10:00:01") - parse_time("Nov  1 10:00:00") == 1.0
    assert parse_time("Oct 31 23:59:59.5") < parse_time("Nov 01 00:00:00")


@pytest.mark.parametrize(
    "text",
    ["", "nan", "inf", "now", "soon", "may", "Sat", "10:00", "a", "1 Nov", "2026-13-01",
     "99/Nov/2026:10:00:00 +0000",
     "17/06/09 20:10:40", "05/11/2026 10:00:00", "2026-11-29 10:00:00 UTC+3", "1.2.3",
     "30 Feb 2026 10:00:00", "1 Nov 2026 10:00:00 XYZ", "1e999", "2026-11-01T25:00:00", "x" * 10_000,
     f"{'9' * 35}m"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time, got"):
        parse_time(text)


@pytest.mark.parametrize(
    "pattern",
    [
        "2026-11-01T10:{1:02d}:{0:02d}Z",
        "01/Nov/2026:10:{1:02d}:{0:02d} +0000",
        "Sun, 01 Nov 2026 10:{1:02d}:{0:02d} +0000",
        "Nov  1 10:{1:02d}:{0:02d}",
    ],
)
def test_known_formats_do_not_wait_for_dateutil(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("dateutil is slow")

    monkeypatch.setattr("dateutil.parser.parse", fail)
    times = [parse_time(pattern.format(i % 60, i // 60)) for i in range(120)]
    assert np.diff(times).tolist() == [1.0] * 119
