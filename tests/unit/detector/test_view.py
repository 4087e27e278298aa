"""What the watches know together: endpoints, nodes, flips, waiting pods, budgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.conditions.model import Endpoints
from responder.detector.view import FLIPS_KEPT, is_well
from responder.domain.refs import ObjectRef

T0 = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
UNREADY = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
UNSCHEDULABLE = {
    "status": {
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 node(s) were unschedulable.",
            }
        ]
    }
}
CORDONED = {**READY, "spec": {"unschedulable": True}}


def endpoints(filled: Any, service: str) -> Endpoints | None:
    body = filled.put("Service", service)
    found: Endpoints | None = filled.around("Service", body).endpoints
    return found


# -- endpoints --------------------------------------------------------------------------------------------------------


def test_endpoints_are_counted_over_all_slices_of_the_service(filled: Any) -> None:
    filled.endpoint_slice("web-1", "web", True, False)
    filled.endpoint_slice("web-2", "web", True, False, False)
    filled.endpoint_slice("cart-1", "cart", True)
    assert endpoints(filled, "web") == Endpoints(ready=2, not_ready=3)


def test_an_endpoint_that_does_not_say_whether_it_is_ready_is_ready(filled: Any) -> None:
    filled.endpoint_slice("web-1", "web", None)
    assert endpoints(filled, "web") == Endpoints(ready=1)


def test_a_service_without_slices_has_no_endpoints(filled: Any) -> None:
    assert endpoints(filled, "web") == Endpoints()


def test_a_slice_of_that_name_in_another_namespace_is_not_counted(filled: Any) -> None:
    labels = {"kubernetes.io/service-name": "web"}
    filled.put("EndpointSlice", "web-1", {"endpoints": [{}]}, namespace="crm", labels=labels)
    assert endpoints(filled, "web") == Endpoints()


def test_a_new_state_of_a_slice_takes_the_place_of_the_old_one(filled: Any) -> None:
    filled.endpoint_slice("web-1", "web", True, True)
    filled.endpoint_slice("web-1", "web", False)
    assert endpoints(filled, "web") == Endpoints(not_ready=1)


def test_a_slice_that_is_deleted_counts_no_more(filled: Any) -> None:
    filled.endpoint_slice("web-1", "web", True)
    filled.endpoint_slice("web-2", "web", True)
    filled.delete("EndpointSlice", "web-1")
    assert endpoints(filled, "web") == Endpoints(ready=1)
    assert filled.view.service_of("shop", "web-1") == ""


@pytest.mark.parametrize(("to", "left", "arrived"), [("cart", 0, 1), ("", 0, 0)])
def test_a_slice_that_moves_counts_for_the_service_it_moved_to(filled: Any, to: str, left: int, arrived: int) -> None:
    filled.endpoint_slice("one", "web", True)
    filled.endpoint_slice("one", to, True)
    assert endpoints(filled, "web") == Endpoints(ready=left)
    assert endpoints(filled, "cart") == Endpoints(ready=arrived)
    assert filled.view.service_of("shop", "one") == to


def test_while_the_slices_are_not_known_for_sure_there_is_no_count(filled: Any) -> None:
    filled.endpoint_slice("web-1", "web", True)
    assert filled.around("Service", filled.put("Service", "web"), live=False).endpoints is None


# -- nodes and pods ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "expected"), [(READY, True), (UNREADY, False), ({}, False)])
def test_a_pod_knows_whether_its_node_is_ready(filled: Any, body: Any, expected: bool) -> None:
    filled.put("Node", "n1", body)
    pod = filled.put("Pod", "web-1", {"spec": {"nodeName": "n1"}})
    assert filled.around("Pod", pod).node_ready is expected


@pytest.mark.parametrize("spec", [{"nodeName": "n2"}, {}])
def test_of_a_node_that_was_never_seen_nothing_is_known(filled: Any, spec: Any) -> None:
    filled.put("Node", "n1", READY)
    assert filled.around("Pod", filled.put("Pod", "web-1", {"spec": spec})).node_ready is None


def test_a_node_that_is_deleted_is_not_known_any_more(filled: Any) -> None:
    filled.put("Node", "n1", READY)
    filled.delete("Node", "n1")
    assert filled.view.node_ready("n1") is None


def test_only_a_change_of_a_nodes_readiness_matters_to_others(filled: Any) -> None:
    matters = []
    for body in (READY, READY, UNREADY, UNREADY, READY):
        filled.put("Node", "n1", body)
        matters.append(filled.matters)
    assert matters == [True, False, True, False, True]


def test_each_change_of_readiness_is_a_flip(filled: Any) -> None:
    pod = None
    for second, body in enumerate((READY, READY, UNREADY, READY)):
        pod = filled.put("Pod", "web-1", body, now=T0 + timedelta(seconds=second))
    assert filled.around("Pod", pod).ready_flips == (T0 + timedelta(seconds=2), T0 + timedelta(seconds=3))


def test_only_the_newest_flips_are_kept(filled: Any) -> None:
    pod = None
    for second in range(3 * FLIPS_KEPT):
        pod = filled.put("Pod", "web-1", (READY, UNREADY)[second % 2], now=T0 + timedelta(seconds=second))
    flips = filled.around("Pod", pod).ready_flips
    assert len(flips) == FLIPS_KEPT
    assert flips[-1] == T0 + timedelta(seconds=3 * FLIPS_KEPT - 1)


def test_the_flips_of_a_pod_go_with_it(filled: Any) -> None:
    filled.put("Pod", "web-1", READY)
    filled.put("Pod", "web-1", UNREADY)
    filled.delete("Pod", "web-1")
    assert filled.around("Pod", filled.put("Pod", "web-1", READY)).ready_flips == ()


def test_another_pod_of_the_same_name_has_flips_of_its_own(filled: Any) -> None:
    filled.put("Pod", "db-0", READY)
    assert filled.around("Pod", filled.put("Pod", "db-0", UNREADY, uid="another")).ready_flips == ()


def test_pods_that_wait_for_a_cordoned_node_are_counted_until_one_takes_them_or_they_are_gone(filled: Any) -> None:
    node = filled.put("Node", "n1", CORDONED)
    for name in ("a", "b", "c"):
        filled.put("Pod", name, UNSCHEDULABLE)
    counts = [filled.around("Node", node).unschedulable_pods]
    filled.put("Pod", "a", READY)
    counts.append(filled.around("Node", node).unschedulable_pods)
    filled.delete("Pod", "b")
    counts.append(filled.around("Node", node).unschedulable_pods)
    assert counts == [3, 2, 1]
    assert filled.around("Node", node, live=False).unschedulable_pods is None


def test_no_pod_waits_for_a_node_that_is_not_cordoned_or_that_it_does_not_select(filled: Any) -> None:
    filled.put("Pod", "a", {**UNSCHEDULABLE, "spec": {"nodeSelector": {"disk": "tape"}}})
    cordoned, other = filled.put("Node", "n1", CORDONED), filled.put("Node", "n2", READY, labels={"disk": "tape"})
    assert [filled.around("Node", node).unschedulable_pods for node in (cordoned, other)] == [0, 0]


def test_a_pod_that_waits_is_told_which_cordoned_nodes_could_take_it(filled: Any) -> None:
    pod = filled.put("Pod", "a", UNSCHEDULABLE)
    found = []
    for body in (CORDONED, READY, CORDONED):
        filled.put("Node", "n1", body)
        found.append(filled.around("Pod", pod).cordoned_nodes)
    filled.delete("Node", "n1")
    assert [*found, filled.around("Pod", pod).cordoned_nodes] == [("n1",), (), ("n1",), ()]


def test_pods_that_are_not_ready_are_found_by_their_labels(filled: Any) -> None:
    filled.put("Pod", "web-1", UNREADY, labels={"app": "web", "tier": "front"})
    filled.put("Pod", "web-2", READY, labels={"app": "web"})
    filled.put("Pod", "web-3", UNREADY, labels={"app": "web"}, namespace="crm")
    filled.put("Pod", "cart-1", UNREADY, labels={"app": "cart"})
    filled.put("Pod", "migrate-1", {"status": {"phase": "Succeeded"}}, labels={"app": "web"})
    expected = ObjectRef(kind="Pod", namespace="shop", name="web-1")
    assert filled.view.unready_roots("shop", {"app": "web"}) == {expected}
    assert filled.view.unready_roots("shop", {}) == frozenset()


def test_init_containers_are_left_out_where_that_is_wished_but_sidecars_are_none(fill: Any) -> None:
    spec = {"initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}]}
    found = {}
    for exclude in (False, True):
        filled = fill(exclude_init_containers=exclude)
        found[exclude] = filled.around("Pod", filled.put("Pod", "web-1", {"spec": spec})).excluded_containers
    assert found == {False: frozenset(), True: frozenset({"setup"})}


# -- budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({"matchLabels": {"app": "cart"}}, False),
        ({}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["cart"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["cart", "web"]}]}, True),
    ],
)
def test_a_budget_keeps_the_workload_whose_pods_it_selects(filled: Any, selector: Any, expected: bool) -> None:
    filled.put("PodDisruptionBudget", "some", {"spec": {"selector": selector}})
    workload = filled.put("Deployment", "web", {"spec": {"selector": {"matchLabels": {"app": "web"}}}})
    assert filled.around("Deployment", workload).budgeted is expected


def test_the_labels_of_the_template_are_what_a_budget_selects(filled: Any) -> None:
    filled.put("PodDisruptionBudget", "some", {"spec": {"selector": {"matchLabels": {"tier": "front"}}}})
    template = {"metadata": {"labels": {"app": "web", "tier": "front"}}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    assert filled.around("StatefulSet", filled.put("StatefulSet", "web", {"spec": spec})).budgeted is True


def test_a_budget_of_another_namespace_keeps_nothing_here(filled: Any) -> None:
    filled.put("PodDisruptionBudget", "some", {"spec": {"selector": {}}}, namespace="crm")
    workload = filled.put("Deployment", "web")
    assert filled.around("Deployment", workload).budgeted is False
    assert filled.around("Deployment", workload, live=False).budgeted is None


# -- looking up -------------------------------------------------------------------------------------------------------


def test_objects_of_a_kind_come_from_all_its_watches_or_from_one_namespace(filled: Any) -> None:
    for namespace in ("shop", "crm"):
        filled.watch("Pod", namespace)
        filled.put("Pod", f"{namespace}-1", namespace=namespace)
    filled.put("Service", "web")
    assert sorted(body["metadata"]["name"] for body in filled.view.of_kind("Pod")) == ["crm-1", "shop-1"]
    assert [body["metadata"]["name"] for body in filled.view.of_kind("Pod", "crm")] == ["crm-1"]


@pytest.mark.parametrize("watched", ["", "shop"])
def test_an_object_is_found_in_the_watch_of_its_namespace_or_of_all(filled: Any, watched: str) -> None:
    filled.watch("Pod", watched)
    filled.put("Pod", "web-1")
    assert filled.view.find("Pod", "shop", "web-1")["metadata"]["uid"] == "u-web-1"
    assert filled.view.find("Pod", "crm", "web-1") is None
    assert filled.view.find("Job", "shop", "web-1") is None


def test_the_owner_of_a_pod_is_told_from_memory_and_of_an_unknown_one_nobody(filled: Any) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u-db", "controller": True}
    filled.put("StatefulSet", "db")
    filled.put("Pod", "db-0", ownerReferences=[owner])
    found = filled.view.owner_of(ObjectRef(kind="Pod", namespace="shop", name="db-0"))
    assert found == ObjectRef(kind="StatefulSet", namespace="shop", name="db", uid="u-db")
    assert filled.view.owner_of(ObjectRef(kind="Pod", namespace="shop", name="db-1")) is None


# -- who is well ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("Pod", READY, True),
        ("Pod", UNREADY, False),
        ("Pod", {}, False),
        ("Deployment", {"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}, True),
        ("Deployment", {"spec": {"replicas": 2}, "status": {"readyReplicas": 1}}, False),
        ("Deployment", {"spec": {}, "status": {"readyReplicas": 1}}, True),
        ("Deployment", {"spec": {}, "status": {}}, False),
        ("ReplicaSet", {"spec": {"replicas": 0}, "status": {}}, True),
        ("StatefulSet", {"spec": {"replicas": 3}, "status": {"readyReplicas": 3}}, True),
        ("DaemonSet", {"status": {"desiredNumberScheduled": 3, "numberReady": 3}}, True),
        ("DaemonSet", {"status": {"desiredNumberScheduled": 3, "numberReady": 2}}, False),
        ("DaemonSet", {"status": {"desiredNumberScheduled": 0, "numberReady": 0}}, True),
        ("DaemonSet", {"status": {}}, False),
        ("Job", {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}, True),
        ("Job", {"status": {"active": 1}}, True),
        ("Job", {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}, False),
        ("PersistentVolumeClaim", {"status": {"phase": "Bound"}}, True),
        ("PersistentVolumeClaim", {"status": {"phase": "Pending"}}, False),
        ("Node", READY, False),
        ("CronJob", {}, False),
    ],
)
def test_an_object_is_well_when_it_has_what_it_is_there_for(kind: str, body: Any, expected: bool) -> None:
    assert is_well(kind, body) is expected
