"""The scheduler: binds pending pods to nodes, and says why it cannot.

Where a pod may go is decided in `placement`; among those nodes the one with the fewest pods wins.
"""

from collections.abc import Iterator

from responder.sandbox.controllers import placement
from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import SCHEDULER, condition, emit, is_active, set_conditions
from responder.sandbox.objects import EventType, Object, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry, timestamp
from responder.sandbox.resources import KINDS, POD
from responder.sandbox.subresources import bind

_NODE = KINDS["Node"]
_CLAIM = KINDS["PersistentVolumeClaim"]


def keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    """A pod that waits; after the end of a pod, or a change of a node or claim, all that wait."""
    if event.resource is POD and event.type is not EventType.DELETED:
        if _waits(event.obj):
            yield event.obj["metadata"]["namespace"], event.obj["metadata"]["name"]
    elif _makes_room(event):
        for pod in registry.store.list(POD):
            if _waits(pod):
                yield pod["metadata"]["namespace"], pod["metadata"]["name"]


def _makes_room(event: StoreEvent) -> bool:
    if event.resource is _NODE:
        return event.before is None or not _same_node(event.obj, event.before)
    return event.resource in (POD, _CLAIM)


def _same_node(now: Object, before: Object) -> bool:
    """A heartbeat changes only times."""
    shown = [
        (
            node["metadata"].get("labels"),
            placement.taints(node),
            (node.get("status") or {}).get("allocatable"),
        )
        for node in (now, before)
    ]
    return shown[0] == shown[1]


def _waits(pod: Object) -> bool:
    return is_active(pod) and not pod["spec"].get("nodeName") and not pod["spec"].get("schedulingGates")


def reconcile(registry: Registry, key: Key) -> float | None:
    pod = registry.store.get(POD, *key)
    if pod is None or not _waits(pod):
        return None
    nodes = list(registry.store.list(_NODE))
    there = {node["metadata"]["name"]: _pods_on(registry, node["metadata"]["name"]) for node in nodes}
    obstacles = {
        node["metadata"]["name"]: placement.obstacle(pod, node, there[node["metadata"]["name"]]) for node in nodes
    }
    if claim := _unbound_claim(registry, pod):
        # Found before any node is looked at; the server words it exactly so.
        _refuse(registry, pod, f"0/{len(nodes)} nodes are available: {claim}. not found")
        return None
    free = [name for name, why in obstacles.items() if not why]
    if not free:
        _refuse(registry, pod, placement.explanation(tuple(obstacles.values())))
        return None
    chosen = min(free, key=lambda name: (len(there[name]), name))
    bind(registry, *key, {"target": {"kind": "Node", "name": chosen}}, CONTROLLER)
    message = f"Successfully assigned {key[0]}/{key[1]} to {chosen}"
    emit(registry, SCHEDULER, pod, "Normal", "Scheduled", message)
    return None


def _unbound_claim(registry: Registry, pod: Object) -> str:
    """Why the pod's claims keep it from every node; empty when they do not."""
    for volume in pod["spec"].get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if not name:
            continue
        claim = registry.store.get(_CLAIM, pod["metadata"]["namespace"], name)
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if claim["status"].get("phase") != "Bound":
            return "pod has unbound immediate PersistentVolumeClaims"
    return ""


def _pods_on(registry: Registry, node: str) -> list[Object]:
    return [pod for pod in registry.store.list(POD) if pod["spec"].get("nodeName") == node and is_active(pod)]


def _refuse(registry: Registry, pod: Object, message: str) -> None:
    before = condition(pod, "PodScheduled")
    if before is not None and before.get("message") == message:
        return
    refusal = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastProbeTime": None,
    }
    status = pod["status"]
    conditions = set_conditions(status.get("conditions") or (), [refusal], timestamp(registry.now()))
    metadata = pod["metadata"]
    registry.write_status(POD, metadata["namespace"], metadata["name"], {**status, "conditions": conditions})
    emit(registry, SCHEDULER, pod, "Warning", "FailedScheduling", message)


CONTROLLER_LOOP = Controller(name="scheduler", keys=keys, reconcile=reconcile)
