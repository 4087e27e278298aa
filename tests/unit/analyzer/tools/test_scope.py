"""What one incident may look at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.analyzer.protocol import Assignment
from responder.analyzer.tools.arguments import Refused
from responder.analyzer.tools.scope import CLUSTER_KINDS, NAMESPACED_KINDS, Scope
from responder.cluster.resources import RESOURCES
from responder.domain.incident import Incident
from responder.domain.refs import CLUSTER_SCOPED, ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Pod, PodTemplate
from responder.redact.placeholders import Placeholders

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
EMPTY = PodTemplate(containers=(), volumes={}, references=(), labels={})


def pod(name: str, node: str) -> Pod:
    return Pod(ref=ObjectRef(kind="Pod", namespace="shop", name=name), phase="Running", node=node, template=EMPTY)


def scope(root: ObjectRef | None = WEB, *, nodes: tuple[str, ...] = (), **fields: Any) -> Scope:
    incident = Incident(
        **{"id": "inc-1", "key": "k", "root": root, "namespace": "shop", "opened_at": T0, "updated_at": T0} | fields
    )
    snapshot = root and Snapshot(taken_at=T0, root=root, pods=tuple(pod(f"p{n}", node) for n, node in enumerate(nodes)))
    return Scope.of(
        Assignment(id="inv-1", number=1, incident=incident, snapshot=snapshot, seconds=60.0, secrets=Placeholders())
    )


@pytest.mark.parametrize("kind", NAMESPACED_KINDS)
def test_an_object_is_looked_for_in_the_incidents_namespace(kind: str) -> None:
    assert scope().ref(kind, "web") == ObjectRef(kind=kind, namespace="shop", name="web")


def test_the_closed_lists_hold_kinds_that_are_read_and_no_secret() -> None:
    assert {*NAMESPACED_KINDS, *CLUSTER_KINDS} <= set(RESOURCES)
    assert set(CLUSTER_KINDS) <= CLUSTER_SCOPED
    assert CLUSTER_SCOPED.isdisjoint(NAMESPACED_KINDS)


@pytest.mark.inv(48)
@pytest.mark.parametrize("kind", ["Secret", "ClusterRole", "Certificate", "Lease", "Event", "PodMetrics", "", "*"])
def test_a_kind_outside_the_closed_list_is_refused(kind: str) -> None:
    with pytest.raises(Refused, match="is not looked at"):
        scope().ref(kind, "x")


@pytest.mark.inv(43)
@pytest.mark.parametrize("name", ["../bank", "bank/web", "a%2fb", "", "Web", "x" * 254, "a..b"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        scope().ref("Pod", name)


def test_the_nodes_are_those_of_the_incidents_pods() -> None:
    seen = scope(nodes=("node-1", "node-2", "", "../x"))
    assert seen.nodes == {"node-1", "node-2"}
    assert seen.ref("Node", "node-1") == ObjectRef(kind="Node", name="node-1")
    with pytest.raises(Refused, match="Nodes that may be read: node-1, node-2"):
        seen.ref("Node", "node-3")


def test_the_namespace_is_the_incidents_own() -> None:
    assert scope().ref("Namespace", "shop") == ObjectRef(kind="Namespace", name="shop")
    with pytest.raises(Refused, match="is not the incident's"):
        scope().ref("Namespace", "bank")


def test_the_root_object_goes_before_the_alerts_label() -> None:
    assert scope(namespace="bank").namespace == "shop"


def test_an_alert_without_an_object_looks_into_its_namespace() -> None:
    assert scope(None).namespace == "shop"


def test_an_incident_of_a_namespace_looks_into_it() -> None:
    assert scope(ObjectRef(kind="Namespace", name="bank"), namespace="").namespace == "bank"


def test_an_incident_of_a_node_sees_the_node_and_no_namespace() -> None:
    seen = scope(ObjectRef(kind="Node", name="node-1"), namespace="shop")
    assert (seen.namespace, seen.nodes) == ("", {"node-1"})
    for kind, name in (("Pod", "web"), ("Namespace", "shop")):
        with pytest.raises(Refused, match="no namespace"):
            seen.ref(kind, name)


@pytest.mark.inv(43)
@pytest.mark.parametrize("namespace", ["kube-system", "", "*", "../shop", "Shop", "a/b", "a.b", "x" * 64])
def test_a_namespace_that_is_none_or_closed_is_not_looked_into(namespace: str) -> None:
    for seen in (scope(None, namespace=namespace), scope(ObjectRef(kind="Pod", namespace=namespace, name="x"))):
        with pytest.raises(Refused, match="no namespace that may be looked into"):
            seen.home()
