"""What is watched and what is left out."""

from __future__ import annotations

from typing import Any

import pytest

from responder.detector.scope import LabelSelector, Scope
from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.refs import ObjectRef
from responder.settings import Watch


def ref(kind: str, name: str, namespace: str = "shop") -> ObjectRef:
    return ObjectRef(kind=kind, namespace=namespace, name=name)


def excluded(
    scope: Scope,
    pod: str = "web-1",
    *,
    kind: str = "Pod",
    root: ObjectRef | None = None,
    labels: dict[str, str] | None = None,
    root_labels: dict[str, str] | None = None,
) -> bool:
    root = root or ref("Deployment", "web")
    return scope.excludes(kind, "shop", pod, labels or {}, root, root_labels=root_labels)


@pytest.mark.parametrize(
    ("namespaces", "excludes", "listed"),
    [
        ((), (), None),
        (("shop",), (), ("shop",)),
        (("shop", "crm", "shop"), (), ("shop", "crm")),
        (("shop", "crm-*"), (), None),
        (("sho?",), (), None),
        (("[a-s]hop",), (), None),
        (("shop", "shop-dev"), ("*-dev",), ("shop",)),
    ],
)
def test_only_names_are_watched_one_by_one(
    namespaces: tuple[str, ...], excludes: tuple[str, ...], listed: tuple[str, ...] | None
) -> None:
    assert Scope.of(namespaces=namespaces, exclude_namespaces=excludes).listed == listed


def test_a_list_with_a_selector_is_still_a_list_and_says_that_it_needs_labels() -> None:
    scope = Scope.of(namespaces=("shop",), namespace_selector="team=shop")
    assert scope.listed == ("shop",)
    assert scope.needs_namespace_labels


@pytest.mark.parametrize(
    ("settings", "namespace", "labels", "selected"),
    [
        ({}, "shop", {}, True),
        ({}, "kube-system", {}, True),
        ({}, "shop", None, True),
        ({"namespaces": ("shop",)}, "shop", {}, True),
        ({"namespaces": ("shop",)}, "shop-eu", {}, False),
        ({"namespaces": ("shop-*", "crm")}, "shop-eu", {}, True),
        ({"namespaces": ("shop-*",), "exclude_namespaces": ("*-dev",)}, "shop-dev", {}, False),
        ({"exclude_namespaces": ("kube-*",)}, "kube-system", {}, False),
        ({"namespace_selector": "team=shop"}, "shop", {"team": "shop"}, True),
        ({"namespace_selector": "team=shop"}, "shop", {}, False),
        ({"namespace_selector": "env!=dev"}, "shop", {}, True),
        ({"namespace_selector": "env!=dev"}, "shop", None, False),
        ({"namespaces": ("shop",), "namespace_selector": "team=shop"}, "crm", {"team": "shop"}, False),
        ({}, "shop", {"clopus.dev/watch": "false"}, False),
        ({}, "shop", {"clopus.dev/watch": "true"}, True),
        ({"namespaces": ("shop",)}, "shop", {"clopus.dev/watch": "false"}, False),
    ],
)
def test_a_namespace_is_selected_by_name_labels_and_its_own_word(
    settings: dict[str, Any], namespace: str, labels: dict[str, str] | None, selected: bool
) -> None:
    assert Scope.of(**settings).selects(namespace, labels) is selected


def test_nothing_is_left_out_by_default() -> None:
    assert not excluded(Scope.of())
    assert not Scope.of().excludes("Node", "", "worker-1", {}, ObjectRef(kind="Node", name="worker-1"))
    assert not Scope.of().excludes("Pod", "kube-system", "dns-1", {}, ref("Deployment", "dns", "kube-system"))


@pytest.mark.parametrize(
    ("kinds", "kind", "root", "left_out"),
    [
        (("Job",), "Job", ref("Job", "backup"), True),
        (("Job",), "Pod", ref("Job", "backup"), True),
        (("Job",), "Pod", ref("CronJob", "backup"), True),
        (("Job",), "Job", ref("CronJob", "backup"), True),
        (("Job",), "CronJob", ref("CronJob", "backup"), False),
        (("CronJob",), "Pod", ref("CronJob", "backup"), True),
        (("CronJob",), "Pod", ref("Job", "backup"), False),
        (("job",), "Pod", ref("Job", "backup"), True),
        (("Pod",), "Pod", ref("Deployment", "web"), True),
        (("Pod",), "Deployment", ref("Deployment", "web"), False),
        (("Node", "Job"), "Pod", ref("Deployment", "web"), False),
    ],
)
def test_kinds_leave_out_objects_and_what_they_own(
    kinds: tuple[str, ...], kind: str, root: ObjectRef, left_out: bool
) -> None:
    assert excluded(Scope.of(exclude_kinds=kinds), kind=kind, root=root) is left_out


@pytest.mark.parametrize(
    ("globs", "left_out"),
    [(("web-1",), True), (("web",), True), (("web-?",), True), (("we",), False), (("WEB",), False), (("*",), True)],
)
def test_names_leave_out_objects_and_what_they_own(globs: tuple[str, ...], left_out: bool) -> None:
    assert excluded(Scope.of(exclude_names=globs)) is left_out


def test_a_namespace_that_is_left_out_is_left_out_as_an_object_too() -> None:
    scope = Scope.of(exclude_namespaces=("scratch-*",))
    namespace = ObjectRef(kind="Namespace", name="scratch-1")
    assert scope.excludes("Namespace", "", "scratch-1", {}, namespace)
    assert scope.excludes("Pod", "scratch-1", "web-1", {}, ref("Deployment", "web", "scratch-1"))
    assert not scope.excludes("Node", "", "scratch-1", {}, ObjectRef(kind="Node", name="scratch-1"))


@pytest.mark.parametrize(
    ("selector", "labels", "left_out"),
    [
        ("", {}, False),
        ("  ", {"a": "b"}, False),
        ("tier=test", {"tier": "test"}, True),
        ("tier=test", {"tier": "prod"}, False),
        ("tier=test", {}, False),
        ("!team", {}, True),
        ("!team", {"team": "shop"}, False),
        ("", {"clopus.dev/watch": "false"}, True),
        ("tier=test", {"clopus.dev/watch": "false"}, True),
    ],
)
def test_labels_leave_objects_out(selector: str, labels: dict[str, str], left_out: bool) -> None:
    assert excluded(Scope.of(exclude_selector=selector), labels=labels) is left_out


def test_labels_of_the_root_leave_its_pods_out_where_they_are_known() -> None:
    scope = Scope.of(exclude_selector="tier=test")
    assert excluded(scope, root_labels={"tier": "test"})
    assert excluded(scope, root_labels={"clopus.dev/watch": "false"})
    assert not excluded(Scope.of(exclude_selector="!team"), labels={"team": "shop"}, root_labels=None)


def test_the_watch_takes_the_clusters_namespaces_where_it_has_none_of_its_own() -> None:
    assert Scope.from_settings(Watch(), ("shop",)).listed == ("shop",)
    assert Scope.from_settings(Watch(namespaces=("crm",)), ("shop",)).listed == ("crm",)
    assert Scope.from_settings(Watch(), ()).listed is None


def test_every_setting_of_the_section_reaches_the_scope() -> None:
    scope = Scope.from_settings(
        Watch(
            namespace_selector="team",
            exclude_namespaces=("n-*",),
            exclude_kinds=("Job",),
            exclude_names=("x-*",),
            exclude_selector="a=b",
        )
    )
    assert not scope.selects("shop", {})
    assert not scope.selects("n-1", {"team": ""})
    assert excluded(scope, kind="Job")
    assert excluded(scope, "x-1")
    assert excluded(scope, labels={"a": "b"})


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a==b", {"a": "b"}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a!=b", {"a": "c"}, True),
        ("a!=b", {"a": "b"}, False),
        ("a!=b", {}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": "x"}, False),
        ("! a", {}, True),
        ("a in (x,y)", {"a": "y"}, True),
        ("a in (x,y)", {"a": "z"}, False),
        ("a in (x, y )", {"a": "y"}, True),
        ("a in(x)", {"a": "x"}, True),
        ("a in (x)", {}, False),
        ("a notin (x,y)", {"a": "y"}, False),
        ("a notin (x,y)", {}, True),
        ("a in (,x)", {"a": ""}, True),
        (" a = b , c ", {"a": "b", "c": ""}, True),
        ("a=b,c!=d,e in (x,y),!f,g", {"a": "b", "e": "x", "g": ""}, True),
        ("a=b,c!=d,e in (x,y),!f,g", {"a": "b", "e": "x", "g": "", "f": ""}, False),
        ("a=b,c!=d,e in (x,y),!f,g", {"a": "b", "e": "x"}, False),
        ("app.kubernetes.io/name=web", {"app.kubernetes.io/name": "web"}, True),
        ("in=notin", {"in": "notin"}, True),
    ],
)
def test_a_selector_means_what_it_means_to_kubernetes(text: str, labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.parse(text, key="k").matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a=b,", "nothing between two commas"),
        (",", "nothing between two commas"),
        ("a=b,,c", "nothing between two commas"),
        ("a in (x", "parentheses"),
        ("a in x)", "parentheses"),
        ("a in ((x))", "parentheses"),
        ("a in x", "'a in x' cannot be the name of a label"),
        ("a b", "'a b' cannot be the name of a label"),
        ("a=b c", "'b c' cannot be the value of label 'a'"),
        ("a=b=c", "'b=c' cannot be the value of label 'a'"),
        ("a>1", "'a>1' cannot be the name of a label"),
        ("-a=b", "'-a' cannot be the name of a label"),
        ("A_B.example/x/y=b", "cannot be the name of a label"),
        ("a in (x,-)", "'-' cannot be the value of label 'a'"),
        ("a=" + "x" * 64, "cannot be the value of label 'a'"),
        ("x" * 64, "cannot be the name of a label"),
        ("!", "'' cannot be the name of a label"),
        ("!a=b", "'a=b' cannot be the name of a label"),
        ("=b", "'=b' cannot be the name of a label"),
        ("a=б", "'б' cannot be the value of label 'a'"),
        ("a=b\n", ""),
    ],
)
def test_a_selector_that_cannot_be_read_is_refused_with_its_fault(text: str, fault: str) -> None:
    if not fault:
        assert LabelSelector.parse(text, key="k").matches({"a": "b"})
        return
    with pytest.raises(ConfigError) as caught:
        LabelSelector.parse(text, key="watch.exclude_selector")
    assert caught.value.key == "watch.exclude_selector"
    assert fault in caught.value.problem


def test_every_fault_of_the_section_is_told_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        Scope.of(namespaces=("shop.eu", "ok"), namespace_selector="a in", exclude_selector="a=b,")
    assert [error.key for error in caught.value] == [
        "watch.namespaces",
        "watch.namespace_selector",
        "watch.exclude_selector",
    ]


def test_a_selector_of_great_length_is_read_in_little_time() -> None:
    with pytest.raises(ConfigError):
        LabelSelector.parse("a" * 100_000 + " in (", key="k")
    with pytest.raises(ConfigError):
        LabelSelector.parse("a." * 50_000 + "/b", key="k")


def test_a_kind_in_the_plural_is_refused() -> None:
    with pytest.raises(ConfigErrors, match="did you mean 'Job'") as caught:
        Scope.of(exclude_kinds=("jobs", "Rollout"))
    assert [error.key for error in caught.value] == ["watch.exclude_kinds"]
