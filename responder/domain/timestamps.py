"""Times as alert senders write them.

RFC 3339 with anything between seconds and nanoseconds, the space form of Alertmanager's clients, leap seconds, and Go's
zero time `0001-01-01T00:00:00Z`, which means "not set".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?\s?(?:[Zz]|([+-])(\d\d):?(\d\d))?\Z", re.ASCII
)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@lru_cache(maxsize=4096)  # alerts of one evaluation share their start
def parse_time(text: str) -> datetime | None:
    """UTC, cut to microseconds; None for the zero time. A time without an offset is taken as UTC.

    Raises:
        ValueError: the text is no time.
    """
    form = _FORM.match(text)
    if form is None:
        raise ValueError("not an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in form.groups()[:6])
    if year == 1:
        return None
    leap = second == 60
    fraction = (form[7] or "").ljust(6, "0")[:6]
    local = datetime(year, month, day, hour, minute, 59 if leap else second, int(fraction), tzinfo=UTC)
    if leap:
        local += timedelta(seconds=1)
    try:
        return min(max(local - _offset(form), _EARLIEST), _LATEST)
    except OverflowError:
        return _LATEST if year == 9999 else _EARLIEST


def _offset(form: re.Match[str]) -> timedelta:
    if form[8] is None:
        return timedelta(0)
    hours, minutes = int(form[9]), int(form[10])
    if hours > 23 or minutes > 59:
        raise ValueError("offset out of range")
    distance = timedelta(hours=hours, minutes=minutes)
    return -distance if form[8] == "-" else distance
