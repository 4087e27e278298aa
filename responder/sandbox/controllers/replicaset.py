"""ReplicaSet: keep as many pods as asked for, and say so when the API refuses them.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import (
    available_in,
    create_pod,
    emit,
    is_active,
    is_ready,
    keys_of,
    owned_pods,
    pod_from,
    set_conditions,
)
from responder.sandbox.deletion import delete
from responder.sandbox.failures import ApiFailure
from responder.sandbox.objects import Object
from responder.sandbox.quota import is_live
from responder.sandbox.registry import CONTROLLER, Registry, timestamp
from responder.sandbox.resources import KINDS, POD

_REPLICA_SET = KINDS["ReplicaSet"]
_SOURCE = "replicaset-controller"
_REFUSED_RETRY_SECONDS = 2.0


def reconcile(registry: Registry, key: Key) -> float | None:
    replica_set = registry.store.get(_REPLICA_SET, *key)
    if replica_set is None or replica_set["metadata"].get("deletionTimestamp"):
        return None
    active = [pod for pod in owned_pods(registry.store, replica_set) if is_active(pod)]
    refusal = _adjust(registry, replica_set, active)
    delay = _write_status(registry, replica_set, refusal)
    return _REFUSED_RETRY_SECONDS if refusal else delay


def _adjust(registry: Registry, replica_set: Object, active: list[Object]) -> str:
    """Create or delete pods. Returns the refusal of the API, or nothing."""
    missing = replica_set["spec"].get("replicas", 1) - len(active)
    for _ in range(missing):
        pod = pod_from(replica_set, replica_set["spec"]["template"])
        try:
            created = create_pod(registry, _SOURCE, replica_set, pod)
        except ApiFailure as failure:
            return failure.message
        _tell(registry, replica_set, "SuccessfulCreate", f"Created pod: {created['metadata']['name']}")
    for pod in sorted(active, key=_worth)[: max(-missing, 0)]:
        name = pod["metadata"]["name"]
        delete(registry, POD, pod["metadata"]["namespace"], name, {}, CONTROLLER)
        _tell(registry, replica_set, "SuccessfulDelete", f"Deleted pod: {name}")
    return ""


def _tell(registry: Registry, replica_set: Object, reason: str, message: str) -> None:
    emit(registry, _SOURCE, replica_set, "Normal", reason, message)


def _worth(pod: Object) -> tuple[bool, bool, int]:
    """Pods without a node go first, then those that are not ready, then the newest."""
    age = -int(pod["metadata"]["resourceVersion"])
    return bool(pod["spec"].get("nodeName")), is_ready(pod), age


def _write_status(registry: Registry, replica_set: Object, refusal: str) -> float | None:
    now = registry.now()
    owned_live = [pod for pod in owned_pods(registry.store, replica_set) if is_live(pod)]
    pods = [pod for pod in owned_live if is_active(pod)]
    waits = [available_in(pod, replica_set["spec"].get("minReadySeconds", 0), now) for pod in pods]
    counts = {
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": sum(wait is not None for wait in waits),
        "availableReplicas": sum(wait == 0 for wait in waits),
        "observedGeneration": replica_set["metadata"]["generation"],
    }
    status: Object = {key: value for key, value in counts.items() if value or key == "replicas"}
    status["terminatingReplicas"] = sum(bool(pod["metadata"].get("deletionTimestamp")) for pod in owned_live)
    present = [
        entry
        for entry in (replica_set.get("status") or {}).get("conditions") or ()
        if entry["type"] != "ReplicaFailure" or refusal
    ]
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refusal}
    # The first refusal stays: the next one names another pod, and a changed status would wake this loop at once.
    told = any(entry["type"] == "ReplicaFailure" for entry in present)
    conditions = set_conditions(present, [failure] if refusal and not told else [], timestamp(now))
    if conditions:
        status["conditions"] = conditions
    metadata = replica_set["metadata"]
    registry.write_status(_REPLICA_SET, metadata["namespace"], metadata["name"], status)
    return min((wait for wait in waits if wait), default=None)


CONTROLLER_LOOP = Controller(name="replicaset", keys=keys_of("ReplicaSet", "Pod"), reconcile=reconcile)
