"""Lengths of time as people and requests write them: `90s`, `15m`, `2h`, `7d`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

MOST = timedelta(days=36500)

_SPAN = re.compile(r"([1-9][0-9]{0,9})([smhd])", re.ASCII)
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse(text: str) -> timedelta | None:
    """None for text that is no such thing, or is over `MOST`."""
    read = _SPAN.fullmatch(text)
    seconds = int(read[1]) * _UNITS[read[2]] if read else 0
    return timedelta(seconds=seconds) if 0 < seconds <= MOST.total_seconds() else None


def spelt(span: timedelta) -> str:
    """In the largest unit that is exact; what is less than a second is left out."""
    seconds = int(span.total_seconds())
    return next(f"{seconds // size}{unit}" for unit, size in _UNITS.items() if seconds % size == 0)
