"""Who answers for an object: over what the watches hold, and the same as by reading the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from responder.analyzer.roots import resolve_root
from responder.cluster.protocol import Cluster
from responder.detector.owners import root_of
from responder.domain.errors import ObjectGone
from responder.domain.manifest import LiveObject, Manifest, ref_of
from responder.domain.refs import ObjectRef

API = {"Job": "batch/v1", "CronJob": "batch/v1", "Rollout": "argoproj.io/v1alpha1", "Node": "v1"}
POD_LABELS = {"app": "web", "pod-template-hash": "6d4c"}


def manifest(
    kind: str,
    name: str,
    *,
    owner: str = "",
    labels: dict[str, str] | None = None,
    selects: dict[str, str] | None = None,
    api: str = "",
) -> Manifest:
    """`owner` is `Kind/name` or `Kind/name@uid`."""
    metadata: dict[str, Any] = {"name": name, "namespace": "shop", "uid": f"u-{kind}-{name}"}
    metadata["labels"] = labels or {}
    if owner:
        above, _, given = owner.partition("@")
        owner_kind, owner_name = above.split("/")
        reference = {"kind": owner_kind, "name": owner_name, "uid": given or f"u-{owner_kind}-{owner_name}"}
        reference["apiVersion"] = api or API.get(owner_kind, "apps/v1")
        metadata["ownerReferences"] = [{**reference, "controller": True}]
    spec = {"selector": {"matchLabels": selects}} if selects else {}
    return {"kind": kind, "metadata": metadata, "spec": spec}


def trimmed(body: Manifest) -> Manifest:
    """Without the API groups of its owners, which a watch need not hold."""
    references = [
        {key: value for key, value in reference.items() if key != "apiVersion"}
        for reference in body["metadata"].get("ownerReferences", ())
    ]
    return {**body, "metadata": {**body["metadata"], "ownerReferences": references}}


@dataclass
class Held:
    """The same objects as a watch holds them, and as the API gives them."""

    objects: dict[str, Manifest] = field(default_factory=dict)
    trims: bool = False

    def add(self, *bodies: Manifest) -> None:
        self.objects.update({ref_of(body).key: body for body in bodies})

    def known(self, kind: str, namespace: str, name: str) -> Manifest | None:
        body = self.objects.get(ObjectRef(kind=kind, namespace=namespace, name=name).key)
        return trimmed(body) if body is not None and self.trims else body

    async def get(self, ref: ObjectRef) -> LiveObject:
        body = self.objects.get(ref.key)
        if body is None or (ref.uid and ref_of(body).uid != ref.uid):
            raise ObjectGone(ref.key)
        return LiveObject(ref=ref_of(body), resource_version="1", generation=1, body=body)

    def root(self, body: Manifest) -> ObjectRef:
        return root_of(ref_of(body), trimmed(body) if self.trims else body, self.known)


REPLICA_SET = manifest("ReplicaSet", "web-6d4c", owner="Deployment/web", labels=POD_LABELS, selects=POD_LABELS)
DEPLOYMENT = manifest("Deployment", "web", selects={"app": "web"})
POD = manifest("Pod", "web-6d4c-x7k2p", owner="ReplicaSet/web-6d4c", labels=POD_LABELS)

WHOLE_CHAINS = [
    ("a pod of a Deployment", "Deployment/shop/web", [POD, REPLICA_SET, DEPLOYMENT]),
    ("a ReplicaSet of a Deployment", "Deployment/shop/web", [REPLICA_SET, DEPLOYMENT]),
    ("a Deployment itself", "Deployment/shop/web", [DEPLOYMENT]),
    ("a pod of nobody", "Pod/shop/loose", [manifest("Pod", "loose")]),
    (
        "a pod of a StatefulSet",
        "StatefulSet/shop/db",
        [manifest("Pod", "db-0", owner="StatefulSet/db"), manifest("StatefulSet", "db")],
    ),
    (
        "a pod of a DaemonSet",
        "DaemonSet/shop/agent",
        [manifest("Pod", "agent-x", owner="DaemonSet/agent"), manifest("DaemonSet", "agent")],
    ),
    (
        "a pod of a CronJob",
        "CronJob/shop/backup",
        [
            manifest("Pod", "backup-1-x", owner="Job/backup-1"),
            manifest("Job", "backup-1", owner="CronJob/backup"),
            manifest("CronJob", "backup"),
        ],
    ),
    (
        "a ReplicaSet of a custom resource",
        "ReplicaSet/shop/canary-6d4c",
        [
            manifest("Pod", "canary-6d4c-x", owner="ReplicaSet/canary-6d4c"),
            manifest("ReplicaSet", "canary-6d4c", owner="Rollout/canary"),
        ],
    ),
    (
        "a StatefulSet of a custom resource",
        "StatefulSet/shop/pg",
        [
            manifest("Pod", "pg-0", owner="StatefulSet/pg"),
            manifest("StatefulSet", "pg", owner="Rollout/pg"),
        ],
    ),
    (
        "a kind of that name in a foreign group",
        "Pod/shop/odd",
        [manifest("Pod", "odd", owner="Deployment/web@u-foreign", api="example.com/v1"), DEPLOYMENT],
    ),
    ("a pod of a custom resource", "Pod/shop/run", [manifest("Pod", "run", owner="Rollout/r")]),
    ("a mirror pod of a node", "Pod/shop/etcd", [manifest("Pod", "etcd", owner="Node/worker-1")]),
    (
        "an owner that came later under that name",
        "Pod/shop/old",
        [manifest("Pod", "old", owner="StatefulSet/db@u-former"), manifest("StatefulSet", "db")],
    ),
    (
        "an owner that does not select it",
        "Pod/shop/liar",
        [
            manifest("Pod", "liar", owner="ReplicaSet/web-6d4c", labels={"app": "evil"}),
            REPLICA_SET,
            DEPLOYMENT,
        ],
    ),
    (
        "owners in a circle",
        "Job/shop/b",
        [manifest("Job", "a", owner="Job/b"), manifest("Job", "b", owner="Job/a")],
    ),
    (
        "a chain without end",
        "Job/shop/j5",
        [manifest("Job", f"j{n}", owner=f"Job/j{n + 1}") for n in range(9)],
    ),
    ("an owner without uid", "Pod/shop/p", [manifest("Pod", "p", owner="Job/j@ "), manifest("Job", "j")]),
]


@pytest.mark.parametrize(("root", "bodies"), [case[1:] for case in WHOLE_CHAINS], ids=[c[0] for c in WHOLE_CHAINS])
@pytest.mark.parametrize("trims", [False, True], ids=["whole", "trimmed"])
async def test_both_ways_to_the_root_lead_to_the_same_object(root: str, bodies: list[Manifest], trims: bool) -> None:
    held = Held(trims=trims)
    held.add(*bodies)
    found = held.root(bodies[0])
    assert found.key == root
    assert found.uid
    assert await resolve_root(cast(Cluster, held), ref_of(bodies[0])) == found


def test_a_deployment_is_told_by_the_hash_where_its_replica_set_is_not_held() -> None:
    held = Held()
    held.add(DEPLOYMENT)
    assert held.root(POD) == ref_of(DEPLOYMENT)


def test_a_deployment_that_is_not_held_either_has_no_uid() -> None:
    assert Held().root(POD) == ObjectRef(kind="Deployment", namespace="shop", name="web")


@pytest.mark.parametrize(
    "body",
    [
        manifest("Pod", "p", owner="ReplicaSet/web-6d4c", labels={"app": "web"}),
        manifest("Pod", "p", owner="ReplicaSet/web-6d4c", labels={"pod-template-hash": "other"}),
        manifest("Pod", "p", owner="ReplicaSet/web-6d4c", labels={"pod-template-hash": "6d4c", "app": "evil"}),
        manifest("Pod", "p", owner="ReplicaSet/-6d4c", labels={"pod-template-hash": "6d4c"}),
        manifest("Pod", "p", owner="ReplicaSet/6d4c", labels={"pod-template-hash": "6d4c"}),
    ],
)
def test_a_replica_set_that_is_not_held_and_not_a_deployments_is_the_root(body: Manifest) -> None:
    held = Held()
    held.add(DEPLOYMENT)
    found = held.root(body)
    assert found.kind == "ReplicaSet"
    assert found.uid


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job"])
def test_an_owner_that_is_not_held_is_taken_at_the_references_word(kind: str) -> None:
    found = Held().root(manifest("Pod", "p-0", owner=f"{kind}/p"))
    assert found == ObjectRef(kind=kind, namespace="shop", name="p", uid=f"u-{kind}-p")


def test_the_uid_of_the_object_itself_is_added() -> None:
    body = manifest("Pod", "loose")
    assert root_of(ref_of(body).without_uid(), body, Held().known) == ref_of(body)


def test_an_object_in_no_namespace_is_its_own_root() -> None:
    body = {"kind": "Node", "metadata": {"name": "worker-1", "uid": "u-n"}}
    assert root_of(ref_of(body), body, Held().known) == ObjectRef(kind="Node", name="worker-1", uid="u-n")
