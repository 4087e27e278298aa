"""Times as senders write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.domain.timestamps import parse_time

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T12:00:00Z", NOON),
        ("2026-11-23t12:00:00z", NOON),
        ("2026-11-23 12:00:00+00:00", NOON),
        ("2026-11-23T12:00:00", NOON),
        ("2026-11-23T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-11-23T12:00:00.031021314Z", NOON.replace(microsecond=31_021)),
        ("2026-11-24T02:00:00+14:00", NOON),
        ("2026-11-23T07:00:00-05:00", NOON),
        ("2026-11-23T07:00:00-0500", NOON),
        ("2026-11-23T11:59:60Z", NOON),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00.000000000Z", None),
        ("0100-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_utc(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "not-a-valid-timestamp",
        "2026-11-23",
        "2026-13-01T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T12:00:00+24:00",
        "2026-11-23T12:00:00Z\n",
        "٢٠٢٦-11-23T12:00:00Z",
        "1763899200",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)
