"""What a benchmark hands back, and how it is shown: a small table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median=statistics.median(values), lowest=min(values), highest=max(values))


@dataclass(frozen=True, kw_only=True)
class Figure:
    name: str
    spread: Spread
    unit: str
    """`%` for ratios, which are what to compare between machines; anything else holds for this machine only."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    benchmark: str
    figures: tuple[Figure, ...]


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def table(result: Result) -> str:
    rows = [("", "median", "min..max", "")]
    for figure in result.figures:
        spread = figure.spread
        between = f"{_short(spread.lowest)}..{_short(spread.highest)}" if spread.lowest != spread.highest else ""
        rows.append((figure.name, f"{_short(spread.median)} {figure.unit}", between, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"  {name:<{widths[0]}}  {median:>{widths[1]}}  {between:>{widths[2]}}  {note}".rstrip()
        for name, median, between, note in rows
    ]
    return "\n".join([result.benchmark, *lines])


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
