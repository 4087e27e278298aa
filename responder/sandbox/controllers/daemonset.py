"""DaemonSet: one pod on every node that takes it, replaced one unavailable pod at a time.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""

from collections.abc import Iterator

from responder.sandbox.controllers import placement
from responder.sandbox.controllers.loop import RETRY_SECONDS, Controller, Key
from responder.sandbox.controllers.workload import (
    REVISION_LABEL,
    create_pod,
    emit,
    is_active,
    is_ready,
    is_refused,
    keys_of,
    owned_pods,
    pod_from,
    revision_for,
    share,
)
from responder.sandbox.deletion import delete
from responder.sandbox.objects import Object, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import KINDS, POD

_DAEMON_SET = KINDS["DaemonSet"]
_NODE = KINDS["Node"]
_SOURCE = "daemonset-controller"
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)


def keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource is _NODE:
        for owner in registry.store.list(_DAEMON_SET):
            yield owner["metadata"]["namespace"], owner["metadata"]["name"]
    else:
        yield from keys_of("DaemonSet", "Pod")(registry, event)


def reconcile(registry: Registry, key: Key) -> float | None:
    owner = registry.store.get(_DAEMON_SET, *key)
    if owner is None or owner["metadata"].get("deletionTimestamp"):
        return None
    update, _ = revision_for(registry, owner)
    nodes = [node for node in registry.store.list(_NODE) if _takes(owner, node)]
    refused = is_refused(lambda: _place(registry, owner, nodes, update))
    if owner["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        _update(registry, owner, len(nodes), update)
    registry.write_status(_DAEMON_SET, *key, _status(registry, owner, len(nodes), update))
    return RETRY_SECONDS if refused else None


def _takes(owner: Object, node: Object) -> bool:
    spec = owner["spec"]["template"]["spec"]
    tolerations = [*(spec.get("tolerations") or ()), *_tolerations()]
    return placement.selects(spec, node) and placement.untolerated(tolerations, node) is None


def _tolerations() -> list[Object]:
    return [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect} for name, effect in _TOLERATED
    ]


def _target(pod: Object) -> str:
    """The node a daemon pod is for: bound to it, or asking for it by name."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def _place(registry: Registry, owner: Object, nodes: list[Object], update: str) -> None:
    pods = [pod for pod in owned_pods(registry.store, owner) if not pod["metadata"].get("deletionTimestamp")]
    covered = {_target(pod) for pod in owned_pods(registry.store, owner)}
    wanted = {node["metadata"]["name"] for node in nodes}
    for name in sorted(wanted - covered):
        pod = pod_from(owner, owner["spec"]["template"], labels={REVISION_LABEL: update})
        field = {"key": "metadata.name", "operator": "In", "values": [name]}
        required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": required}
        pod["spec"].setdefault("affinity", {})["nodeAffinity"] = affinity
        pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or ()), *_tolerations()]
        created = create_pod(registry, _SOURCE, owner, pod)
        message = f"Created pod: {created['metadata']['name']}"
        emit(registry, _SOURCE, owner, "Normal", "SuccessfulCreate", message)
    for pod in pods:
        if _target(pod) not in wanted or not is_active(pod):
            _delete(registry, owner, pod)


def _update(registry: Registry, owner: Object, nodes: int, update: str) -> None:
    """Old pods that are not ready go at once, others as far as unavailability allows."""
    pods = owned_pods(registry.store, owner)
    rolling = owner["spec"]["updateStrategy"].get("rollingUpdate") or {}
    allowed = share(rolling.get("maxUnavailable", 1), nodes, round_up=True)
    down = sum(not (is_active(pod) and is_ready(pod)) for pod in pods) + max(0, nodes - len(pods))
    for pod in pods:
        if not is_active(pod) or pod["metadata"]["labels"].get(REVISION_LABEL) == update:
            continue
        if not is_ready(pod):
            _delete(registry, owner, pod)
        elif down < allowed:
            down += 1
            _delete(registry, owner, pod)


def _delete(registry: Registry, owner: Object, pod: Object) -> None:
    name = pod["metadata"]["name"]
    delete(registry, POD, pod["metadata"]["namespace"], name, {}, CONTROLLER)
    emit(registry, _SOURCE, owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")


def _status(registry: Registry, owner: Object, nodes: int, update: str) -> Object:
    pods = [pod for pod in owned_pods(registry.store, owner) if is_active(pod)]
    ready = sum(is_ready(pod) for pod in pods)
    updated = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == update for pod in pods)
    status = {
        "currentNumberScheduled": len(pods),
        "desiredNumberScheduled": nodes,
        "numberMisscheduled": 0,
        "numberReady": ready,
        "observedGeneration": owner["metadata"]["generation"],
    }
    others = {
        "updatedNumberScheduled": updated,
        "numberAvailable": ready,
        "numberUnavailable": max(0, nodes - ready),
    }
    return {**status, **{key: value for key, value in others.items() if value}}


CONTROLLER_LOOP = Controller(name="daemonset", keys=keys, reconcile=reconcile)
