"""Whose trouble an object shows, and what the scope leaves out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.detector.judge import Judge, Judgement
from responder.detector.scope import WATCH_LABEL, Scope
from responder.domain.manifest import ref_of
from responder.domain.refs import ObjectRef

T0 = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-web")
LABELS = {"app": "web"}
CRASHING = {
    "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "nginx:1.27"}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {"name": "app", "ready": False, "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        ],
    },
}
STUCK_IN_SETUP = {
    "spec": {
        "nodeName": "n1",
        "initContainers": [{"name": "setup", "image": "busybox"}],
        "containers": [{"name": "app", "image": "nginx:1.27"}],
    },
    "status": {
        "phase": "Pending",
        "initContainerStatuses": [
            {"name": "setup", "ready": False, "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        ],
    },
}


def owned_by(kind: str, name: str) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"u-{name}", "controller": True}
    return {"ownerReferences": [owner]}


def deploy(filled: Any, body: Any = CRASHING, *, workload: Any = None, **meta: Any) -> Any:
    """The pod of a Deployment `web`; `workload` are labels of the Deployment, `meta` metadata of the pod."""
    filled.put("Deployment", "web", {"spec": {"selector": {"matchLabels": LABELS}}}, labels=workload or {})
    filled.put("ReplicaSet", "web-5d6b", {"spec": {}}, labels=LABELS, **owned_by("Deployment", "web"))
    return filled.put("Pod", "web-5d6b-x", body, **{"labels": LABELS, **owned_by("ReplicaSet", "web-5d6b"), **meta})


def judge_of(filled: Any, checks: Any = (), suffering: Any = None, **scope: Any) -> Judge:
    """`suffering`: cause -> roots that name it."""
    named = suffering or {}
    return Judge(
        filled.view,
        scope=Scope.of(**scope),
        checks=frozenset(checks),
        suffering=lambda cause: named.get(cause, frozenset()),
    )


def judged(filled: Any, body: Any, *, kind: str = "Pod", complete: bool = True, **options: Any) -> Judgement:
    return judge_of(filled, **options)(ref_of(body, kind=kind), body, now=T0, complete=complete)


def names(judgement: Judgement) -> list[str]:
    return [condition.name for condition in judgement.conditions]


# -- scope ------------------------------------------------------------------------------------------------------------


def test_a_pods_trouble_is_that_of_the_workload_behind_it(filled: Any) -> None:
    found = judged(filled, deploy(filled))
    assert (found.root, names(found), found.open) == (WEB, ["CrashLoopBackOff"], True)


def test_an_object_that_is_well_is_not_looked_at_again_by_itself(filled: Any) -> None:
    assert judged(filled, filled.put("Service", "web"), kind="Service") == Judgement(
        root=ObjectRef(kind="Service", namespace="shop", name="web", uid="u-web")
    )


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ({"namespaces": ("shop",)}, True),
        ({"namespaces": ("sho*",)}, True),
        ({"namespaces": ("crm",)}, False),
        ({"exclude_namespaces": ("sh*",)}, False),
        ({"exclude_kinds": ("Pod",)}, False),
        ({"exclude_kinds": ("deployment",)}, False),
        ({"exclude_kinds": ("Job",)}, True),
        ({"exclude_names": ("web-5d6b-*",)}, False),
        ({"exclude_names": ("web",)}, False),
        ({"exclude_names": ("cart",)}, True),
        ({"exclude_selector": "app=web"}, False),
        ({"exclude_selector": "tier=test"}, False),
        ({"exclude_selector": "tier=prod"}, True),
    ],
)
def test_what_the_scope_leaves_out_shows_nothing(filled: Any, scope: Any, seen: bool) -> None:
    found = judged(filled, deploy(filled, workload={"tier": "test"}), **scope)
    assert bool(found.conditions) == seen


@pytest.mark.parametrize(
    ("workload", "scope", "again"),
    [
        ({WATCH_LABEL: "false"}, {}, True),
        ({"tier": "test"}, {"exclude_selector": "tier=test"}, True),
        ({}, {"exclude_names": ("web",)}, False),
        ({}, {"exclude_kinds": ("Deployment",)}, False),
        ({}, {"namespaces": ("crm",)}, False),
    ],
)
def test_what_its_owners_labels_leave_out_is_looked_at_again(
    filled: Any, workload: Any, scope: Any, again: bool
) -> None:
    found = judged(filled, deploy(filled, workload=workload), **scope)
    assert (found.conditions, found.open) == ((), again)


@pytest.mark.parametrize("place", ["pod", "workload", "namespace"])
def test_the_label_that_opts_out_counts_on_the_object_its_owner_and_its_namespace(filled: Any, place: str) -> None:
    out = {WATCH_LABEL: "false"}
    filled.put("Namespace", "shop", labels=out if place == "namespace" else {})
    pod = deploy(
        filled,
        workload=out if place == "workload" else {},
        labels={**LABELS, **(out if place == "pod" else {})},
    )
    assert not judged(filled, pod).conditions


@pytest.mark.parametrize(
    ("labels", "seen", "may"),
    [({"team": "shop"}, True, True), ({"team": "crm"}, False, False), (None, False, True)],
)
def test_a_selector_is_judged_by_the_labels_of_the_namespace(filled: Any, labels: Any, seen: bool, may: bool) -> None:
    if labels is not None:
        filled.put("Namespace", "shop", labels=labels)
    judge = judge_of(filled, namespace_selector="team=shop")
    assert judge.selects("Pod", "shop") is seen
    assert judge.may_select("Pod", "shop") is may
    assert bool(judged(filled, deploy(filled), namespace_selector="team=shop").conditions) is seen


def test_names_are_known_before_labels_are(filled: Any) -> None:
    judge = judge_of(filled, namespaces=("shop",), namespace_selector="a=b")
    assert judge.may_select("Pod", "shop")
    assert not judge.may_select("Pod", "crm")


def test_nodes_are_of_no_namespace_and_always_selected(filled: Any) -> None:
    judge = judge_of(filled, namespaces=("shop",))
    assert judge.selects("Node", "")
    assert judge.may_select("Node", "")


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ({}, True),
        ({"namespaces": ("shop",)}, True),
        ({"namespaces": ("crm",)}, False),
        ({"namespace_selector": "team=shop"}, True),
        ({"namespace_selector": "team=crm"}, False),
        ({"exclude_namespaces": ("shop",)}, False),
    ],
)
def test_a_namespace_is_in_scope_as_its_objects_are(filled: Any, scope: Any, seen: bool) -> None:
    reason = {"type": "NamespaceDeletionContentFailure", "status": "True", "lastTransitionTime": "2026-11-23T11:00:00Z"}
    body = {"status": {"phase": "Terminating", "conditions": [reason]}}
    long_ago = {"deletionTimestamp": "2026-11-23T11:00:00Z", "labels": {"team": "shop"}}
    found = judged(filled, filled.put("Namespace", "shop", body, **long_ago), kind="Namespace", **scope)
    assert bool(found.conditions) is seen


def test_init_containers_are_left_out_where_that_is_wished(fill: Any) -> None:
    found = {}
    for exclude in (False, True):
        filled = fill(exclude_init_containers=exclude)
        found[exclude] = names(judged(filled, deploy(filled, STUCK_IN_SETUP)))
    assert found[False] == ["CrashLoopBackOff"]
    assert "CrashLoopBackOff" not in found[True]


# -- surroundings and checks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("complete", "expected"), [(True, ["ServiceWithoutEndpoints"]), (False, [])])
def test_a_service_lacks_endpoints_only_by_watches_that_are_complete(
    filled: Any, complete: bool, expected: Any
) -> None:
    service = filled.put("Service", "web", {"spec": {"selector": LABELS}})
    assert names(judged(filled, service, kind="Service", complete=complete)) == expected


def test_a_proactive_check_speaks_only_where_it_is_on(filled: Any) -> None:
    workload = filled.put("Deployment", "web", {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}})
    assert names(judged(filled, workload, kind="Deployment")) == []
    (found,) = judged(filled, workload, kind="Deployment", checks=["single_replica"]).conditions
    assert (found.name, found.proactive) == ("SingleReplica", True)


# -- who answers ------------------------------------------------------------------------------------------------------


def named(kind: str, name: str) -> ObjectRef:
    return ObjectRef(kind=kind, namespace="shop", name=name)


@pytest.mark.parametrize(
    ("suffering", "expected"),
    [
        ((), named("PersistentVolumeClaim", "data")),
        ((WEB.without_uid(),), WEB.without_uid()),
        ((WEB.without_uid(), named("Deployment", "cart")), named("PersistentVolumeClaim", "data")),
        ((WEB.without_uid(), named("PersistentVolumeClaim", "data")), WEB.without_uid()),
    ],
)
def test_a_claim_is_the_trouble_of_the_one_workload_that_waits_for_it(
    filled: Any, suffering: Any, expected: ObjectRef
) -> None:
    claim = filled.put("PersistentVolumeClaim", "data", {"status": {"phase": "Lost"}})
    causes = {"PersistentVolumeClaim/shop/data": frozenset(suffering)}
    found = judged(filled, claim, kind="PersistentVolumeClaim", suffering=causes)
    assert (names(found), found.root.without_uid()) == (["ClaimLost"], expected)


@pytest.mark.parametrize(
    ("others", "expected"), [((), WEB.without_uid()), (("cart",), named("Service", "web"))], ids=["one", "two"]
)
def test_a_service_without_endpoints_is_the_trouble_of_the_one_workload_behind_it(
    filled: Any, others: Any, expected: ObjectRef
) -> None:
    deploy(filled)
    for name in others:
        filled.put("Pod", name, labels=LABELS)
    filled.endpoint_slice("web-1", "web", False)
    service = filled.put("Service", "web", {"spec": {"selector": LABELS}})
    found = judged(filled, service, kind="Service")
    assert (names(found), found.root.without_uid()) == (["ServiceWithoutEndpoints"], expected)


@pytest.mark.parametrize("scope", [{"exclude_names": ("web",)}, {"exclude_selector": "tier=test"}])
def test_what_is_left_out_answers_for_nothing(filled: Any, scope: Any) -> None:
    deploy(filled, workload={"tier": "test"})
    filled.endpoint_slice("front-1", "front", False)
    service = filled.put("Service", "front", {"spec": {"selector": LABELS}})
    assert judged(filled, service, kind="Service", **scope).root.without_uid() == named("Service", "front")


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        ({}, True),
        ({"namespaces": ("shop",)}, True),
        ({"namespaces": ("crm",)}, False),
        ({"exclude_names": ("data",)}, False),
        ({"exclude_kinds": ("PersistentVolumeClaim",)}, False),
        ({"exclude_selector": "tier=test"}, False),
    ],
)
def test_what_metrics_tell_of_an_object_is_in_scope_as_the_object_is(filled: Any, scope: Any, taken: bool) -> None:
    filled.put("PersistentVolumeClaim", "data", labels={"tier": "test"})
    assert judge_of(filled, **scope).takes(named("PersistentVolumeClaim", "data")) is taken


@pytest.mark.parametrize("scope", [{"namespaces": ("shop",)}, {"namespace_selector": "team=shop"}])
def test_the_api_server_is_in_no_namespace_and_in_every_scope(filled: Any, scope: Any) -> None:
    assert judge_of(filled, **scope).takes(ObjectRef(kind="APIServer", name="10.0.0.1"))


# -- events -----------------------------------------------------------------------------------------------------------


def event(
    filled: Any, *, reason: str = "FailedMount", kind: str = "Pod", name: str = "web-5d6b-x", **about: Any
) -> Any:
    subject = {"kind": kind, "namespace": "shop", "name": name, "uid": f"u-{name}", **about}
    body = {
        "type": "Warning",
        "reason": reason,
        "message": "MountVolume.SetUp failed",
        "count": 9,
        "firstTimestamp": (T0 - timedelta(minutes=5)).isoformat(),
        "lastTimestamp": (T0 - timedelta(seconds=10)).isoformat(),
        "involvedObject": subject,
    }
    return filled.put("Event", f"{name}.1", body)


def test_an_event_tells_of_the_workload_behind_the_pod_that_it_is_about(filled: Any) -> None:
    deploy(filled, {})
    found = judged(filled, event(filled), kind="Event")
    assert (found.root, names(found), found.open) == (WEB, ["FailedMount"], True)


def test_an_event_that_triggers_nothing_is_passed_over(filled: Any) -> None:
    deploy(filled, {})
    found = judged(filled, event(filled, reason="Pulled"), kind="Event")
    assert (names(found), found.open) == ([], False)


@pytest.mark.parametrize("about", [{"name": "web-5d6b-gone"}, {"uid": "of-another"}])
def test_an_event_about_an_object_that_is_not_known_shows_nothing_yet(filled: Any, about: Any) -> None:
    deploy(filled, {})
    found = judged(filled, event(filled, **about), kind="Event")
    assert (names(found), found.open) == ([], True)


def test_an_event_about_an_object_that_is_well_is_over_but_may_come_back(filled: Any) -> None:
    deploy(filled, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    found = judged(filled, event(filled), kind="Event")
    assert (names(found), found.open) == ([], True)


@pytest.mark.parametrize(
    "scope",
    [
        {"namespaces": ("crm",)},
        {"exclude_names": ("web",)},
        {"exclude_kinds": ("Deployment",)},
        {"exclude_selector": "app=web"},
    ],
)
def test_an_event_about_what_is_left_out_is_left_out(filled: Any, scope: Any) -> None:
    deploy(filled, {})
    found = judged(filled, event(filled), kind="Event", **scope)
    assert (names(found), found.open) == ([], False)


def test_an_event_about_a_container_that_is_left_out_is_left_out(fill: Any) -> None:
    filled = fill(exclude_init_containers=True)
    deploy(filled, {"spec": STUCK_IN_SETUP["spec"]})
    told = {"reason": "FailedPostStartHook"}
    assert names(judged(filled, event(filled, **told, fieldPath="spec.containers{app}"), kind="Event"))
    told_of_setup = event(filled, **told, fieldPath="spec.initContainers{setup}")
    assert judged(filled, told_of_setup, kind="Event") == Judgement(root=WEB)
