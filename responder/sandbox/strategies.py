"""What each type does to its object before it is stored: reset what clients may not set, allocate, count generations.

Source: https://github.com/kubernetes/kubernetes/tree/master/pkg/registry (the strategy of each type)
"""

import ipaddress
from typing import Any

from responder.sandbox.objects import Object, Store
from responder.sandbox.resources import KINDS, Resource

_GENERATION_KINDS = frozenset(
    {
        "Pod",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "PodDisruptionBudget",
        "Ingress",
        "NetworkPolicy",
    }
)
CONDITIONAL_ONLY = frozenset({"Lease", "PodDisruptionBudget"})
"""Kinds whose update must name a resourceVersion."""
CREATED_BY_UPDATE = frozenset({"Lease", "Event", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
"""Kinds that a PUT may create."""
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
    "lastProbeTime": None,
    "lastTransitionTime": None,
}
_SERVICE_NETWORK = ipaddress.ip_network("10.96.0.0/16")


def prepare_create(store: Store, resource: Resource, obj: Object) -> None:
    """Reset and allocate what the server owns in a new object, before defaults."""
    metadata = obj["metadata"]
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "managedFields"):
        metadata.pop(key, None)
    if resource.kind in _GENERATION_KINDS:
        metadata["generation"] = 1
    # A node registers with its status; every other status is the controllers' to write.
    if resource.has_status and resource.kind != "Node":
        obj["status"] = _first_status(resource.kind)
    if (obj.get("spec") or {}).get("schedulingGates") and resource.kind == "Pod":
        obj["status"]["conditions"] = [dict(_GATED)]
    if resource.kind == "Service":
        _allocate_address(store, obj)
    if resource.kind == "DaemonSet":
        metadata.setdefault("annotations", {})["deprecated.daemonset.template.generation"] = "1"
    if resource.kind == "Job":
        _generate_job_selector(obj)


def _first_status(kind: str) -> Object:
    match kind:
        case "Deployment":
            return {}
        case "ReplicaSet":
            return {"replicas": 0}
        case "StatefulSet":
            return {"replicas": 0, "availableReplicas": 0}
        case "DaemonSet":
            zero = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
            return dict.fromkeys(zero, 0)
        case "PodDisruptionBudget":
            zero = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
            return dict.fromkeys(zero, 0)
        case "Service":
            return {"loadBalancer": {}}
        case _:
            return {}


def _allocate_address(store: Store, service: Object) -> None:
    spec = service.setdefault("spec", {})
    if spec.get("type") == "ExternalName" or spec.get("clusterIP"):
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        return
    taken = {other.get("spec", {}).get("clusterIP") for other in store.list(KINDS["Service"])}
    free = next(str(host) for host in _SERVICE_NETWORK.hosts() if str(host) not in taken)
    spec["clusterIP"], spec["clusterIPs"] = free, [free]


def _generate_job_selector(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if spec.get("manualSelector"):
        return
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    labels |= {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    job["metadata"].setdefault("labels", dict(labels))


def prepare_update(resource: Resource, obj: Object, old: Object, *, subresource: str) -> Object:
    """The object a write may really produce: the parts that this path does not own come from `old`."""
    if subresource == "status":
        prepared = {**old, "status": obj.get("status", {})}
        prepared["metadata"] = dict(old["metadata"])
        if annotations := obj["metadata"].get("annotations"):
            prepared["metadata"]["annotations"] = annotations
        return prepared
    prepared = dict(obj)
    if resource.has_status:
        prepared.pop("status", None)
        if "status" in old:
            prepared["status"] = old["status"]
    metadata = prepared["metadata"] = dict(obj["metadata"])
    for key in ("creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
        metadata.pop(key, None)
        if key in old["metadata"]:
            metadata[key] = old["metadata"][key]
    metadata.setdefault("uid", old["metadata"]["uid"])
    metadata.pop("selfLink", None)
    _keep_allocated(prepared, old)
    return prepared


def _keep_allocated(obj: Object, old: Object) -> None:
    if obj["kind"] == "Service":
        for key in ("clusterIP", "clusterIPs"):
            if key not in obj["spec"] and key in old["spec"]:
                obj["spec"][key] = old["spec"][key]


def count_generation(resource: Resource, obj: Object, old: Object, *, subresource: str) -> None:
    """A changed spec is a new generation; for Deployments changed annotations are one too, as on a real server."""
    if resource.kind not in _GENERATION_KINDS or subresource == "status":
        return
    changed = _intent(resource, obj) != _intent(resource, old)
    obj["metadata"]["generation"] = old["metadata"].get("generation", 1) + int(changed)


def _intent(resource: Resource, obj: Object) -> Any:
    annotations = obj["metadata"].get("annotations") if resource.kind == "Deployment" else None
    return obj.get("spec"), annotations or None
