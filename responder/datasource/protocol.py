"""What is asked of a source of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The value of one series at one time."""

    labels: Mapping[str, str]
    value: float
    """Finite."""
    at: datetime


class Datasource(Protocol):
    async def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        """Every series that the query gives at one time; None: now, by the source's clock.

        Raises:
            DatasourceUnavailable: the source did not answer, or refused the query; in its own words.
        """
