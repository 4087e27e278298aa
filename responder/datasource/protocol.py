"""What is asked of a source of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The value of one series at one time."""

    labels: Mapping[str, str]
    value: float
    """Finite."""
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    at: datetime
    value: float
    """Finite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The values of one series over a time, oldest first; times at which it had none are left out."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]
    """At least one."""


class Datasource(Protocol):
    async def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        """Every series that the query gives at one time; None: now, by the source's clock.

        Raises:
            DatasourceUnavailable: the source did not answer, or refused the query; in its own words.
        """

    async def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        """Every series that the query gives at `start` and each `step` from there to `end`.

        Raises:
            ValueError: the steps lead nowhere, or are too many.
            DatasourceUnavailable: as `instant`.
        """
