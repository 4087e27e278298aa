"""PromQL made of checked parts: a model names a metric, labels and functions of closed lists, and never writes a query.

Every query selects one metric of one namespace; nothing in an argument can take the matcher on the namespace away,
because values stand in quoted strings and names have no character that could end one.
Syntax: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from responder.analyzer.tools.arguments import Many, OneOf, Record, Refused, Words, argument, shown
from responder.domain.manifest import Json, Manifest
from responder.domain.refs import is_namespace_name

_METRIC = re.compile(r"[a-zA-Z_][a-zA-Z0-9_:]{0,127}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
_OF_CODE = frozenset({"namespace", "__name__"})
"""Labels whose matchers are not the model's to give."""

_QUANTILES: Mapping[str, str] = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99"}
OVER_TIME = ("none", "rate", "increase", "avg", "max", "min")
AGGREGATES = ("none", "sum", "avg", "max", "min", "count", *_QUANTILES)
WINDOWS = ("1m", "5m", "15m", "30m", "1h", "6h")


@dataclass(frozen=True, kw_only=True)
class MetricName:
    @property
    def schema(self) -> Manifest:
        return {"type": "string", "minLength": 1, "maxLength": 128}

    def check(self, name: str, value: Json) -> str:
        text = Words(longest=128).check(name, value)
        if _METRIC.fullmatch(text) is None:
            raise Refused(
                f"{name} {shown(text)} is no metric name: letters, digits, '_' and ':', and no query around it"
            )
        return text


@dataclass(frozen=True, kw_only=True)
class LabelName:
    @property
    def schema(self) -> Manifest:
        return {"type": "string", "minLength": 1, "maxLength": 64}

    def check(self, name: str, value: Json) -> str:
        text = Words(longest=64).check(name, value)
        if _LABEL.fullmatch(text) is None:
            raise Refused(f"{name} {shown(text)} is no label name: letters, digits and '_'")
        return text


@dataclass(frozen=True, kw_only=True)
class MatchedLabel:
    """The label of a matcher. The namespace's is set by Clopus."""

    @property
    def schema(self) -> Manifest:
        return LabelName().schema

    def check(self, name: str, value: Json) -> str:
        text = LabelName().check(name, value)
        if text in _OF_CODE:
            raise Refused(f"{name}: {text} is set already, to the incident's namespace and the metric: leave it out")
        return text


@dataclass(frozen=True, kw_only=True)
class Matcher:
    label: str = argument(MatchedLabel(), "Name of the label, not namespace")
    operator: str = argument(OneOf(values=("=", "!=", "=~", "!~")), "How it is compared; ~ takes RE2", default="=")
    value: str = argument(Words(longest=200, shortest=0), "What with")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What both metric tools ask for."""

    metric: str = argument(MetricName(), "Name of the metric, as container_memory_working_set_bytes")
    matchers: tuple[Matcher, ...] = argument(
        Many(of=Record(of=Matcher), most=10), "Only series with these labels", default=()
    )
    over_time: str = argument(
        OneOf(values=OVER_TIME),
        "First, for each series, over the window: rate and increase are for counters",
        default="none",
    )
    window: str = argument(OneOf(values=WINDOWS), "Length of the window", default="5m")
    aggregate: str = argument(
        OneOf(values=AGGREGATES),
        "Then over all series; p95 of a metric that ends in _bucket reads the histogram",
        default="none",
    )
    by: tuple[str, ...] = argument(Many(of=LabelName(), most=5), "Labels that the aggregate keeps apart", default=())


def compose(selection: Selection, *, namespace: str) -> str:
    """The query. Raises Refused where the parts do not go together."""
    if not is_namespace_name(namespace):
        raise Refused("this incident has no namespace whose metrics could be asked for")
    matchers = [f'namespace="{namespace}"', *map(_matcher, selection.matchers)]
    series = f"{selection.metric}{{{','.join(matchers)}}}"
    return _aggregated(selection, _over_time(selection, series))


def _matcher(matcher: Matcher) -> str:
    value = matcher.value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{matcher.label}{matcher.operator}"{value}"'


def _over_time(selection: Selection, series: str) -> str:
    match selection.over_time:
        case "none":
            return series
        case "rate" | "increase":
            return f"{selection.over_time}({series}[{selection.window}])"
        case _:
            return f"{selection.over_time}_over_time({series}[{selection.window}])"


def _aggregated(selection: Selection, inner: str) -> str:
    if selection.aggregate == "none":
        if selection.by:
            raise Refused("by needs an aggregate")
        return inner
    quantile = _QUANTILES.get(selection.aggregate)
    if quantile is None:
        return f"{selection.aggregate}{_by(selection.by)}({inner})"
    if not selection.metric.endswith("_bucket"):
        return f"quantile{_by(selection.by)}({quantile}, {inner})"
    if selection.over_time not in ("rate", "increase"):
        raise Refused(f"{selection.aggregate} of a histogram needs over_time rate or increase")
    kept = _by(("le", *(label for label in selection.by if label != "le")))
    return f"histogram_quantile({quantile}, sum{kept}({inner}))"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
