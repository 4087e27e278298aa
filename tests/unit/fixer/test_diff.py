"""What people approve is what the server answered: all of it, and visibly."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.refs import ObjectRef
from responder.fixer.diff import render_diff, render_eviction

TARGET = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="uid-web")


def changed(body: dict[str, Any], image: str) -> dict[str, Any]:
    after = copy.deepcopy(body)
    after["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return after


def test_the_changed_line_is_shown_with_its_surroundings(make: Any) -> None:
    body = make.deployment()
    diff = render_diff(body, changed(body, "registry.local/web:1"), TARGET)
    assert diff.startswith("--- Deployment/shop/web (now)\n+++ Deployment/shop/web (planned)\n@@")
    assert "\n-        image: registry.local/web:2\n" in diff
    assert "\n+        image: registry.local/web:1\n" in diff


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata__resourceVersion", "200"),
        ("metadata__generation", 9),
        ("metadata__managedFields", [{"manager": "x"}]),
        ("metadata__annotations", {"clopus.dev/execution": "exe-1", "deployment.kubernetes.io/revision": "4"}),
        ("status", {"readyReplicas": 1}),
    ],
)
def test_bookkeeping_is_no_difference(make: Any, path: str, value: Any) -> None:
    assert render_diff(make.deployment(), make.deployment(**{path: value}), TARGET) == ""


def test_replicas_that_the_change_leaves_alone_are_not_shown(make: Any) -> None:
    diffs = set()
    for replicas in (2, 9):
        body = make.deployment(spec__replicas=replicas)
        diffs.add(render_diff(body, {**body, "spec": {**body["spec"], "paused": True}}, TARGET))
    assert len(diffs) == 1
    assert "replicas" not in diffs.pop()


def test_replicas_that_change_are_shown(make: Any) -> None:
    assert "\n+  replicas: 3" in render_diff(make.deployment(), make.deployment(spec__replicas=3), TARGET)


@pytest.mark.parametrize("path", ["metadata__labels", "metadata__annotations", "metadata__finalizers", "spec__paused"])
def test_everything_that_someone_decides_is_a_difference(make: Any, path: str) -> None:
    assert render_diff(make.deployment(), make.deployment(**{path: {"a": "b"}}), TARGET)


@pytest.mark.inv(39)
@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("x\u202egnp", r"\u202e"),
        ("x\u200by", r"\u200b"),
        ("x\u2066y", r"\u2066"),
        ("x\U000e0041y", "0041"),
        ("x\x1b[2Jy", "[2J"),
        ("x\u2028y", "2028"),
    ],
)
def test_characters_that_mislead_are_shown_as_what_they_are(make: Any, hidden: str, shown: str) -> None:
    body = make.deployment()
    diff = render_diff(body, changed(body, hidden), TARGET)
    assert hidden not in diff
    assert shown in diff.lower() or shown in diff


@pytest.mark.inv(39)
@given(image=st.text(max_size=30))
def test_a_diff_is_printable_whatever_the_values_are(image: str) -> None:
    before = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"image": "a"}}
    after = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"image": image}}
    diff = render_diff(before, after, TARGET)
    assert all(character.isprintable() or character in "\n\t" for character in diff)
    assert bool(diff) is (image != "a")


def test_a_long_value_is_neither_folded_nor_cut(make: Any) -> None:
    body = make.deployment()
    long = "registry.local/" + "a" * 5000
    assert f"+        image: {long}\n" in render_diff(body, changed(body, long), TARGET)


def test_an_eviction_names_the_pod_by_uid_and_who_replaces_it() -> None:
    pod = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="uid-1")
    text = render_eviction(pod, controller=ObjectRef(kind="ReplicaSet", namespace="shop", name="web-h2"))
    assert "-uid: uid-1" in text
    assert "ReplicaSet/shop/web-h2" in text


def test_secrets_written_into_the_object_do_not_stand_in_the_diff() -> None:
    def deployment(image: str) -> dict[str, object]:
        env = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "URL", "value": "postgres://shop:s3cret@db/shop"}]
        container = {"name": "web", "image": image, "env": env}
        return {
            "kind": "Deployment",
            "metadata": {
                "name": "web",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"value":"hunter2"}'},
            },
            "spec": {"template": {"spec": {"containers": [container]}}},
        }

    text = render_diff(
        deployment("nignx"), deployment("nginx"), ObjectRef(kind="Deployment", namespace="a", name="web")
    )
    assert "hunter2" not in text
    assert "s3cret" not in text
    assert "+      - image: nginx" in text or "image: nginx" in text


@pytest.mark.inv(47)
def test_the_secret_behind_an_option_does_not_stand_in_the_diff() -> None:
    def deployment(image: str) -> dict[str, object]:
        container = {"name": "web", "image": image, "args": ["--user", "shop", "--password", "hunter2"]}
        return {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}

    text = render_diff(
        deployment("nignx"), deployment("nginx"), ObjectRef(kind="Deployment", namespace="a", name="web")
    )
    assert "hunter2" not in text
    assert "image: nginx" in text
