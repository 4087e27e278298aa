"""Numbers from the metrics source, of the incident's namespace alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from responder.analyzer.apart import apart
from responder.analyzer.tools.arguments import Whole, argument
from responder.analyzer.tools.look import Found, Look, Unseen
from responder.analyzer.tools.promql import Selection, compose
from responder.analyzer.tools.showing import line
from responder.datasource.protocol import Datasource, Series
from responder.domain.investigation import EvidenceKind

MAX_SERIES = 40
MAX_LABELS = 20
POINTS = 30
"""Of one series over the whole range."""
_SHORTEST_STEP = 15
"""Seconds; nothing is scraped more often."""


@dataclass(frozen=True, kw_only=True)
class MetricNow(Selection):
    pass


@dataclass(frozen=True, kw_only=True)
class MetricRange(Selection):
    minutes: int = argument(Whole(least=5, most=1440), "How far back from now, minutes", default=60)


async def metric_now(look: Look, wanted: MetricNow) -> Found:
    query = compose(wanted, namespace=look.scope.home())
    samples = await _source(look).instant(query)
    lines = [f"{_labels(sample.labels)} {sample.value:g}" for sample in samples[:MAX_SERIES]]
    return _found(query, lines, len(samples), "now")


async def metric_range(look: Look, wanted: MetricRange) -> Found:
    query = compose(wanted, namespace=look.scope.home())
    end, length = look.now(), timedelta(minutes=wanted.minutes)
    step = timedelta(seconds=max(_SHORTEST_STEP, int(length.total_seconds()) // POINTS))
    found = await _source(look).range(query, end - length, end, step)
    lines = await apart(lambda: list(map(_series, found[:MAX_SERIES])))
    when = f"from {end - length:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC, one point per {step.total_seconds():g} s"
    return _found(query, lines, len(found), when)


def _source(look: Look) -> Datasource:
    if look.datasource is None:
        raise Unseen("not known: no Prometheus is configured, so no metric can be asked for")
    return look.datasource


def _found(query: str, lines: list[str], number: int, when: str) -> Found:
    if not lines:
        words = f"{query}\nno series {when} (the query succeeded): no such metric or labels in this namespace"
        return Found(text=words, kind=EvidenceKind.METRIC, source=query)
    more = number - len(lines)
    tail = [f"(and {more} more series: aggregate, or match fewer)"] if more else []
    text = "\n".join([query, f"{number} series, {when}:", *lines, *tail])
    return Found(text=text, kind=EvidenceKind.METRIC, source=query, truncated=bool(more))


def _series(series: Series) -> str:
    values = [point.value for point in series.points]
    bounds = f"min {min(values):g}, max {max(values):g}, first {values[0]:g}, last {values[-1]:g}"
    points = " ".join(f"{point.at:%H:%M:%S}={point.value:g}" for point in series.points)
    return f"{_labels(series.labels)} | {bounds} | {points}"


def _labels(labels: Mapping[str, str]) -> str:
    shown = sorted((key, value) for key, value in labels.items() if key not in ("__name__", "namespace"))
    listed = ", ".join(f'{line(key, 64)}="{line(value, 200)}"' for key, value in shown[:MAX_LABELS])
    return f"- {{{listed}{', ...' if len(shown) > MAX_LABELS else ''}}}"
