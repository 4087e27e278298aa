"""`delete_pod`: eviction of one pod that its controller makes anew. Disruption budgets are the API server's to keep."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from responder.domain.action import DeletePod, Permission
from responder.domain.errors import PlanInvalid
from responder.domain.manifest import LiveObject, Manifest, base_hash, controller_of, mapping, text
from responder.domain.plan import Change, Check, Verb
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Pod

RECREATED_BY = frozenset({"ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"})
"""Controllers that make a new pod. A Job counts the lost one as a failure instead."""

_MIRROR = "kubernetes.io/config.mirror"


class DeletePodHandler:
    kind: ClassVar[str] = DeletePod.kind
    reversible: ClassVar[bool] = False
    permissions: ClassVar[tuple[Permission, ...]] = (Permission(resource="pods/eviction", verbs=("create",)),)

    def risk(self, action: DeletePod, snapshot: Snapshot) -> Risk:
        return Risk.LOW

    def check(self, action: DeletePod, snapshot: Snapshot) -> tuple[Check, ...]:
        pod = _pod(action, snapshot)
        if pod is None:
            return (Check(name="pod_present", passed=False, detail=f"{action.target} is not a pod of {snapshot.root}"),)
        controller = pod.controller
        return (
            Check(name="pod_present", passed=True, detail=pod.ref.key),
            Check(
                name="pod_not_terminating",
                passed=pod.deleted_at is None,
                detail="it is not being deleted" if pod.deleted_at is None else f"deleted at {pod.deleted_at}",
            ),
            Check(name="pod_not_static", passed=not pod.mirror, detail="static pod" if pod.mirror else "not static"),
            Check(
                name="pod_recreated",
                passed=controller is not None and controller.kind in RECREATED_BY,
                detail=f"controlled by {controller.key if controller else 'nobody'}",
            ),
        )

    def change(self, action: DeletePod, live: LiveObject, snapshot: Snapshot, *, now: datetime) -> Change:
        if text(live.body, "metadata", "deletionTimestamp"):
            raise PlanInvalid(f"{live.ref} is being deleted already")
        if _MIRROR in mapping(live.body, "metadata", "annotations"):
            raise PlanInvalid(f"{live.ref} is the image of a static pod: deleting it does nothing")
        controller = controller_of(live.body)
        if controller is None or controller.kind not in RECREATED_BY:
            raise PlanInvalid(f"nothing makes another pod in the place of {live.ref}")
        return Change(
            target=live.ref,
            verb=Verb.EVICT,
            resource_version=live.resource_version,
            base_hash=base_hash(live.body),
            replicas_at_risk=1,
        )

    def warnings(self, action: DeletePod, snapshot: Snapshot) -> tuple[str, ...]:
        return ()

    def restores_not(self, action: DeletePod, snapshot: Snapshot) -> tuple[str, ...]:
        return ("the pod itself, and what it kept in emptyDir volumes: its controller makes another one",)

    def in_place(self, action: DeletePod, change: Change, body: Manifest) -> bool:
        return True  # nobody can bring a pod's uid back


def controller_ref(live: LiveObject) -> ObjectRef:
    """Who makes another pod. Only for a pod that `change` has accepted."""
    return controller_of(live.body) or live.ref


def _pod(action: DeletePod, snapshot: Snapshot) -> Pod | None:
    return next((pod for pod in snapshot.pods if pod.ref == action.target and pod.ref.uid), None)
