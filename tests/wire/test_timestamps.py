"""Times: every decoded time has a zone, and the zone is UTC if the text names none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from launch_async.wire.timestamps import format_iso, parse_epoch_ms, parse_http_date, parse_iso

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (parse_iso("2026-05-04T09:00:00.000Z"), NINE),
        (parse_iso("2026-05-04T11:00:00+02:00"), NINE),
        (parse_iso("2026-05-04T09:00:00"), NINE),
        (parse_http_date("Mon, 04 May 2026 09:00:00 GMT"), NINE),
        (parse_http_date("Mon, 04 May 2026 09:00:00 -0000"), NINE),
        (parse_epoch_ms(NINE.timestamp() * 1000), NINE),
    ],
    ids=["iso", "iso with an offset", "iso without a zone", "header", "header without a zone", "milliseconds"],
)
def test_a_time_is_aware_in_every_notation(moment: datetime | None, expected: datetime) -> None:
    assert moment == expected
    assert moment is not None
    assert moment.tzinfo is not None


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01"])
def test_a_text_that_is_no_iso_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_iso(text)


@pytest.mark.parametrize("number", [10**30, 10**400, float("inf"), float("nan")])
def test_a_number_beyond_the_calendar_is_refused(number: float) -> None:
    with pytest.raises(ValueError):
        parse_epoch_ms(number)


@pytest.mark.parametrize("text", [None, "", "soon", "Mon, 99 May 2026 09:00:00 GMT"])
def test_a_header_that_is_no_date_is_none(text: str | None) -> None:
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T10:00:00-13:59", "9999-12-31T23:59:00.000Z"),
    ],
)
def test_a_time_beyond_the_calendar_is_the_first_or_last_time(text: str, written: str) -> None:
    assert format_iso(parse_iso(text)) == written


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
@pytest.mark.parametrize("hours", [-14, 14])
def test_a_time_beyond_the_calendar_of_utc_is_written(moment: datetime, hours: int) -> None:
    assert format_iso(moment.replace(tzinfo=timezone(timedelta(hours=hours))))[:4] in {"0001", "9999"}


def test_a_time_is_written_in_the_format_of_the_service() -> None:
    east = timezone(timedelta(hours=5, minutes=30))

    assert format_iso(datetime(2026, 5, 4, 14, 30, 0, 123_999, tzinfo=east)) == "2026-05-04T09:00:00.123Z"
