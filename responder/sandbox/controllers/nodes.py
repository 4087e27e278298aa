"""Nodes: what follows from their reports, and from silence. Conditions become taints, and pods on a silent node are
no longer ready.

A node is silent when its Lease is older than the grace period; one that never had a Lease is left as it was written.
Pods are not evicted from a silent node: that takes five minutes on a real cluster.
Source: https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import condition, emit, is_active, parse_time, set_conditions
from responder.sandbox.objects import Object, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry, timestamp
from responder.sandbox.resources import KINDS, POD

GRACE_SECONDS = 12.0
"""Real ones wait 50 s. Simulated kubelets report every 3 s, whatever their speed."""
_SILENT_SECONDS = 2.0
"""How often a silent node's pods are looked at again."""
_NODE = KINDS["Node"]
_LEASE = KINDS["Lease"]
_LEASES = "kube-node-lease"
_PREFIX = "node.kubernetes.io/"
_PRESSURES = {"MemoryPressure": "memory-pressure", "DiskPressure": "disk-pressure", "PIDPressure": "pid-pressure"}


def keys(_registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource in (_NODE, _LEASE):
        yield "", event.obj["metadata"]["name"]


def reconcile(registry: Registry, key: Key) -> float | None:
    node = registry.store.get(_NODE, *key)
    lease = registry.store.get(_LEASE, _LEASES, key[1])
    if node is None or lease is None:
        return None
    left = _left(lease, registry.now())
    if left <= 0 and _ready(node) != "Unknown":
        _declare_silent(registry, node)
    _taint(registry, registry.get(_NODE, *key))
    if left <= 0:
        _mark_pods(registry, key[1])
        return _SILENT_SECONDS
    return left + 0.1


def _left(lease: Object, now: datetime) -> float:
    """Seconds until the node counts as silent."""
    renewed = lease["spec"].get("renewTime")
    if not renewed:
        return GRACE_SECONDS
    return (parse_time(renewed) + timedelta(seconds=GRACE_SECONDS) - now).total_seconds()


def _ready(node: Object) -> str:
    return str((condition(node, "Ready") or {}).get("status", "Unknown"))


def _declare_silent(registry: Registry, node: Object) -> None:
    name, now = node["metadata"]["name"], timestamp(registry.now())
    unknown = [
        {
            **(condition(node, kind) or {}),
            "type": kind,
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
        }
        for kind in (*_PRESSURES, "Ready")
    ]
    conditions = set_conditions(node["status"].get("conditions") or (), unknown, now)
    registry.write_status(_NODE, "", name, {**node["status"], "conditions": conditions})
    emit(registry, "node-controller", node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")


def _taint(registry: Registry, node: Object) -> None:
    """Keep the taints that people set; derive the others."""
    present = (node.get("spec") or {}).get("taints") or []
    kept = [taint for taint in present if not taint["key"].startswith(_PREFIX)]
    before = {(taint["key"], taint["effect"]): taint for taint in present}
    derived = [
        before.get((_PREFIX + word, effect)) or {"key": _PREFIX + word, "effect": effect}
        for word, effect in _derived(node)
    ]
    wanted = [*kept, *derived]
    if wanted != present:
        spec = {key: value for key, value in (node.get("spec") or {}).items() if key != "taints"}
        changed = {**node, "spec": {**spec, **({"taints": wanted} if wanted else {})}}
        registry.replace(_NODE, node, changed, CONTROLLER)


def _derived(node: Object) -> Iterator[tuple[str, str]]:
    if node["spec"].get("unschedulable"):
        yield "unschedulable", "NoSchedule"
    if (ready := _ready(node)) != "True":
        for effect in ("NoSchedule", "NoExecute"):
            yield ("unreachable" if ready == "Unknown" else "not-ready"), effect
    for kind, word in _PRESSURES.items():
        if (condition(node, kind) or {}).get("status") == "True":
            yield word, "NoSchedule"


def _mark_pods(registry: Registry, node: str) -> None:
    for pod in registry.store.list(POD):
        ready = condition(pod, "Ready")
        if pod["spec"].get("nodeName") != node or not is_active(pod) or (ready or {}).get("status") != "True":
            continue
        lost = {**(ready or {}), "status": "False"}
        conditions = set_conditions(pod["status"]["conditions"], [lost], timestamp(registry.now()))
        metadata = pod["metadata"]
        registry.write_status(POD, metadata["namespace"], metadata["name"], {**pod["status"], "conditions": conditions})
        emit(registry, "node-controller", pod, "Warning", "NodeNotReady", "Node is not ready")


CONTROLLER_LOOP = Controller(name="nodes", keys=keys, reconcile=reconcile)
