"""Queries are composed: whatever the arguments, one metric of one namespace is selected."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.analyzer.tools.arguments import Refused, parse
from responder.analyzer.tools.promql import AGGREGATES, OVER_TIME, WINDOWS, Selection, compose


def composed(**sent: Any) -> str:
    return compose(parse(Selection, sent), namespace="shop")


@pytest.mark.parametrize(
    ("sent", "query"),
    [
        ({"metric": "up"}, 'up{namespace="shop"}'),
        (
            {"metric": "up", "matchers": [{"label": "pod", "operator": "=~", "value": "web-.*"}]},
            'up{namespace="shop",pod=~"web-.*"}',
        ),
        ({"metric": "hits_total", "over_time": "rate", "window": "1m"}, 'rate(hits_total{namespace="shop"}[1m])'),
        ({"metric": "mem", "over_time": "max", "window": "6h"}, 'max_over_time(mem{namespace="shop"}[6h])'),
        ({"metric": "mem", "aggregate": "sum"}, 'sum(mem{namespace="shop"})'),
        (
            {"metric": "hits_total", "over_time": "rate", "aggregate": "sum", "by": ["pod", "code"]},
            'sum by (pod, code) (rate(hits_total{namespace="shop"}[5m]))',
        ),
        ({"metric": "mem", "aggregate": "p95", "by": ["pod"]}, 'quantile by (pod) (0.95, mem{namespace="shop"})'),
        (
            {"metric": "lat_bucket", "over_time": "rate", "aggregate": "p99", "by": ["pod", "le"]},
            'histogram_quantile(0.99, sum by (le, pod) (rate(lat_bucket{namespace="shop"}[5m])))',
        ),
    ],
)
def test_the_parts_make_a_query(sent: dict[str, Any], query: str) -> None:
    assert composed(**sent) == query


@pytest.mark.inv(43)
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"metric": 'up{namespace="bank"} or up'}, id="a query for a metric"),
        pytest.param({"metric": "up} or up{x=''"}, id="an end of the selector"),
        pytest.param({"metric": "up[5m]"}, id="a range"),
        pytest.param({"metric": ""}, id="no metric"),
        pytest.param({"metric": "up", "matchers": [{"label": "namespace", "value": "bank"}]}, id="the namespace"),
        pytest.param({"metric": "up", "matchers": [{"label": "__name__", "value": "x"}]}, id="the metric's name"),
        pytest.param({"metric": "up", "matchers": [{"label": 'a="b"} or up{c', "value": "d"}]}, id="a label"),
        pytest.param({"metric": "up", "matchers": [{"label": "a", "operator": "or", "value": "d"}]}, id="an operator"),
        pytest.param({"metric": "up", "matchers": [{"label": "a", "value": "b\n"}]}, id="a line feed"),
        pytest.param({"metric": "up", "matchers": [{"label": "a"}]}, id="no value"),
        pytest.param({"metric": "up", "matchers": {"a": "b"}}, id="no list"),
        pytest.param({"metric": "up", "matchers": [{"label": "a", "value": "b"}] * 11}, id="too many matchers"),
        pytest.param({"metric": "up", "over_time": "deriv"}, id="another function"),
        pytest.param({"metric": "up", "window": "5y"}, id="another window"),
        pytest.param({"metric": "up", "aggregate": "sum", "by": ["a) or up"]}, id="another label to keep"),
        pytest.param({"metric": "up", "by": ["pod"]}, id="labels to keep without an aggregate"),
        pytest.param({"metric": "lat_bucket", "aggregate": "p95"}, id="a histogram without a rate"),
    ],
)
def test_what_is_no_part_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        composed(**sent)


@pytest.mark.parametrize("namespace", ["", "*", 'a"', "kube/system", "A"])
def test_without_a_namespace_there_is_no_query(namespace: str) -> None:
    with pytest.raises(Refused, match="no namespace"):
        compose(Selection(metric="up"), namespace=namespace)


_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf'[a-zA-Z_:][\w:]*\{{namespace="shop"(?:,[a-zA-Z_]\w*(?:=~|!~|!=|=){_STRING})*\}}')


@pytest.mark.inv(43)
@given(
    metric=st.from_regex(r"[a-zA-Z_][\w:]{0,20}", fullmatch=True) | st.text(max_size=20),
    values=st.lists(
        st.text(max_size=30) | st.sampled_from(['"} or up{a="', "\\", '\\"', "a\\", "$", "{}"]), max_size=3
    ),
    over_time=st.sampled_from(OVER_TIME),
    aggregate=st.sampled_from(AGGREGATES),
    window=st.sampled_from(WINDOWS),
)
def test_every_query_selects_one_metric_of_the_namespace(
    metric: str, values: list[str], over_time: str, aggregate: str, window: str
) -> None:
    sent = {"metric": metric, "over_time": over_time, "aggregate": aggregate, "window": window}
    matchers = [{"label": "pod", "operator": "!=", "value": value} for value in values]
    try:
        query = composed(**sent, matchers=matchers)
    except Refused:
        return
    assert len(_SELECTOR.findall(query)) == 1
    assert re.fullmatch(r"[a-z0-9_., ()\[\]]*", _SELECTOR.sub("", query))
