"""Two versions, and which fields differ: by the key of list items, and readable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.domain.difference import MAX_VALUE, differences
from responder.domain.refs import ObjectRef
from responder.domain.versions import HIDDEN, Difference, ObjectVersion, VersionEvent, apart, difference_told, told

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def found(before: Any, after: Any) -> list[tuple[str, str, str]]:
    return [(item.path, item.before, item.after) for item in differences(before, after)[0]]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": {"b": [1, {"c": None}]}}, {"a": {"b": [1, {"c": None}]}}, []),
        ({"spec": {"x": 1}}, {"spec": {"x": 2}}, [("spec.x", "1", "2")]),
        ({"spec": {"x": 1}}, {"spec": {"x": "1"}}, [("spec.x", "1", '"1"')]),
        ({"spec": {"x": True}}, {"spec": {"x": 1}}, [("spec.x", "true", "1")]),
        ({"spec": {}}, {"spec": {"x": None}}, [("spec.x", "", "null")]),
        ({"spec": {"x": {"b": 1, "a": [2]}}}, {"spec": {}}, [("spec.x", '{"a":[2],"b":1}', "")]),
        ({"spec": {"x": [1]}}, {"spec": {"x": {"a": 1}}}, [("spec.x", "[1]", '{"a":1}')]),
        (
            {"metadata": {"labels": {"app.kubernetes.io/name": "a"}}},
            {"metadata": {"labels": {"app.kubernetes.io/name": "b"}}},
            [("metadata.labels[app.kubernetes.io/name]", '"a"', '"b"')],
        ),
        ({"args": ["a", "b"]}, {"args": ["a", "c", "d"]}, [("args[1]", '"b"', '"c"'), ("args[2]", "", '"d"')]),
    ],
)
def test_fields_differ_by_path(before: Any, after: Any, expected: Any) -> None:
    assert found(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ([{"name": "a", "v": 1}, {"name": "b", "v": 1}], [{"name": "b", "v": 2}], ["x[a]", "x[b].v"]),
        ([{"name": "a"}], [{"name": "new"}, {"name": "a"}], ["x[new]"]),
        ([{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}], ["x[order]"]),
        ([{"containerPort": 80}], [{"containerPort": 81, "name": "http"}], ["x[80]", "x[81]"]),
        (
            [{"port": 53, "protocol": "TCP", "n": 1}, {"port": 53, "protocol": "UDP", "n": 1}],
            [{"port": 53, "protocol": "TCP", "n": 1}, {"port": 53, "protocol": "UDP", "n": 2}],
            ["x[53,UDP].n"],
        ),
        (
            [{"mountPath": "/a", "name": "v"}, {"mountPath": "/b", "name": "v"}],
            [{"mountPath": "/a", "name": "v", "readOnly": True}, {"mountPath": "/b", "name": "v"}],
            ["x[/a].readOnly"],
        ),
        ([{"key": "k", "effect": "A"}], [{"key": "k", "effect": "B"}], ["x[k,A]", "x[k,B]"]),
        ([{"ip": "10.0.0.1", "h": 1}], [{"ip": "10.0.0.1", "h": 2}], ["x[10.0.0.1].h"]),
        ([{"type": "Ready", "status": "True"}], [{"type": "Ready", "status": "False"}], ["x[Ready].status"]),
        ([{"name": "a", "v": 1}, {"name": "a", "v": 2}], [{"name": "a", "v": 1}], ["x[1]"]),
        ([{"foo": 1}], [{"foo": 2}], ["x[0].foo"]),
        ([], [{"name": "a"}], ["x[a]"]),
    ],
)  # fmt: skip
def test_items_of_lists_are_matched_by_their_merge_key(before: Any, after: Any, paths: list[str]) -> None:
    assert [path for path, _, _ in found({"x": before}, {"x": after})] == paths


def test_no_more_than_the_limit_is_told_and_the_rest_is_counted() -> None:
    shown, more = differences({}, {str(number): number for number in range(60)}, limit=50)
    assert (len(shown), more) == (50, 10)


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    text = "x" * 1000
    ((_, before, after),) = found({"a": f"{text}old{text}"}, {"a": f"{text}new{text}"})
    assert len(before) <= MAX_VALUE
    assert len(after) <= MAX_VALUE
    assert ("old" in before, "new" in after) == (True, True)


VERSION = ObjectVersion(
    seq=1,
    ref=ObjectRef(kind="Deployment", namespace="shop", name="web"),
    event=VersionEvent.CHANGED,
    seen_at=T0,
    manager="kubectl-edit",
    differences=(Difference(path="spec.x", before='"nginx:1.27"', after='"nginx:1.28"'),),
    more_differences=2,
)


def test_a_change_is_told_in_one_sentence() -> None:
    assert told(VERSION, since=T0 + timedelta(seconds=130)) == (
        "Deployment/shop/web changed 2 min before the alert by kubectl-edit: "
        'spec.x: "nginx:1.27" -> "nginx:1.28"; and 2 more'
    )


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (Difference(path="a", before="", after="1"), "a: (none) -> 1"),
        (Difference(path="a", before="1", after=""), "a: 1 -> (gone)"),
        (Difference(path="data.PASSWORD", before=HIDDEN, after=HIDDEN), "data.PASSWORD (a redacted value)"),
    ],
)
def test_a_difference_is_told(difference: Difference, text: str) -> None:
    assert difference_told(difference) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s before"),
        (59, "59 s before"),
        (120, "2 min before"),
        (7300, "2 h before"),
        (200_000, "2 d before"),
        (-5, "5 s after"),
    ],
)
def test_the_time_between_is_told_in_one_unit(seconds: int, text: str) -> None:
    assert apart(T0, T0 + timedelta(seconds=seconds)) == text
