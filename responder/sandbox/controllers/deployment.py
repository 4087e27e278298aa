"""Deployment: a ReplicaSet per template, rolled over within surge and unavailability, numbered by revision.

Kept simpler than the real one: scaling in the middle of a rollout is not proportional, and orphans are not adopted.
The status is computed in `deploymentstatus`. Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from responder.sandbox.controllers import deploymentstatus
from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import (
    HASH_LABEL,
    emit,
    keys_of,
    owned,
    owned_pods,
    owner_reference,
    share,
    template_hash,
)
from responder.sandbox.deletion import delete
from responder.sandbox.objects import Object, clone
from responder.sandbox.quota import is_live
from responder.sandbox.registry import CONTROLLER, Registry, Write
from responder.sandbox.resources import KINDS

REVISION = "deployment.kubernetes.io/revision"
_DEPLOYMENT = KINDS["Deployment"]
_REPLICA_SET = KINDS["ReplicaSet"]
_SOURCE = "deployment-controller"
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION})


def reconcile(registry: Registry, key: Key) -> float | None:
    deployment = registry.store.get(_DEPLOYMENT, *key)
    if deployment is None or deployment["metadata"].get("deletionTimestamp"):
        return None
    sets = owned(registry.store, _REPLICA_SET, deployment)
    current = next((rs for rs in sets if _template_of(rs) == _template_of(deployment)), None)
    created = False
    if not deployment["spec"].get("paused"):
        created = current is None
        current = _ensure_current(registry, deployment, current, sets)
        deployment = registry.get(_DEPLOYMENT, *key)
        old = [rs for rs in sets if rs["metadata"]["uid"] != current["metadata"]["uid"]]
        _roll(registry, deployment, current, old)
    elif current is not None and sum(rs["spec"]["replicas"] > 0 for rs in sets) <= 1:
        _scale(registry, deployment, current, deployment["spec"]["replicas"])
    sets = owned(registry.store, _REPLICA_SET, deployment)
    if current is not None:
        current = registry.store.get(_REPLICA_SET, key[0], current["metadata"]["name"])
    status, delay = deploymentstatus.compute(deployment, sets, current, created=created, now=registry.now())
    registry.write_status(_DEPLOYMENT, *key, status)
    if current is not None and deploymentstatus.is_complete(deployment, status):
        _prune(registry, deployment, current, sets)
    return delay


def _template_of(obj: Object) -> Object:
    template = clone(obj["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return template


def revision(obj: Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


def _ensure_current(registry: Registry, deployment: Object, current: Object | None, sets: list[Object]) -> Object:
    """The ReplicaSet of the present template, under the newest revision number."""
    others = [rs for rs in sets if current is None or rs["metadata"]["uid"] != current["metadata"]["uid"]]
    number = max((revision(rs) for rs in others), default=0) + 1
    if current is None:
        current = _create(registry, deployment, number)
    number = max(number, revision(current))
    current = _annotate(registry, current, _copied(deployment, number))
    _annotate(registry, deployment, {REVISION: str(number)})
    return current


def _copied(deployment: Object, number: int) -> dict[str, str]:
    desired = deployment["spec"]["replicas"]
    surge, _ = limits(deployment)
    present = deployment["metadata"].get("annotations") or {}
    return {
        **{key: value for key, value in present.items() if key not in _NOT_COPIED},
        "deployment.kubernetes.io/desired-replicas": str(desired),
        "deployment.kubernetes.io/max-replicas": str(desired + surge),
        REVISION: str(number),
    }


def _annotate(registry: Registry, obj: Object, annotations: dict[str, str]) -> Object:
    present = obj["metadata"].get("annotations") or {}
    if all(present.get(key) == value for key, value in annotations.items()):
        return obj
    kind = KINDS[obj["kind"]]
    metadata = {**obj["metadata"], "annotations": {**present, **annotations}}
    # Through /status, where a changed annotation is not a new generation.
    write = Write(user=CONTROLLER.user, manager=CONTROLLER.manager, subresource="status")
    return registry.replace(kind, obj, {**obj, "metadata": metadata}, write).obj


def _create(registry: Registry, deployment: Object, number: int) -> Object:
    template = clone(deployment["spec"]["template"])
    name = template_hash(template)
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = name
    selector = clone(deployment["spec"]["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = name
    spec = {"replicas": 0, "selector": selector, "template": template}
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    body = {
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{name}",
            "labels": dict(labels),
            "annotations": _copied(deployment, number),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": spec,
    }
    return registry.create(_REPLICA_SET, deployment["metadata"]["namespace"], body, CONTROLLER).obj


def limits(deployment: Object) -> tuple[int, int]:
    """How many pods there may be above, and how many may be missing below, the wanted number."""
    spec = deployment["spec"]
    rolling = spec["strategy"].get("rollingUpdate")
    if rolling is None:
        return 0, spec["replicas"]
    surge = share(rolling["maxSurge"], spec["replicas"], round_up=True)
    unavailable = share(rolling["maxUnavailable"], spec["replicas"], round_up=False)
    return surge, (1 if surge == 0 and unavailable == 0 else unavailable)


def _roll(registry: Registry, deployment: Object, current: Object, old: list[Object]) -> None:
    desired = deployment["spec"]["replicas"]
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        _recreate(registry, deployment, current, old, desired)
        return
    surge, _ = limits(deployment)
    have = current["spec"]["replicas"]
    room = desired + surge - have - sum(rs["spec"]["replicas"] for rs in old)
    target = desired if have > desired else have + max(0, min(room, desired - have))
    if target != have:
        current = _scale(registry, deployment, current, target)
    _shrink_old(registry, deployment, current, old)


def _recreate(registry: Registry, deployment: Object, current: Object, old: list[Object], desired: int) -> None:
    for rs in old:
        _scale(registry, deployment, rs, 0)
    # Pods on their way out still run: the new ones wait for the last of them.
    if not any(is_live(pod) for rs in old for pod in owned_pods(registry.store, rs)):
        _scale(registry, deployment, current, desired)


def _available(rs: Object) -> int:
    return min(int((rs.get("status") or {}).get("availableReplicas", 0)), int(rs["spec"]["replicas"]))


def _shrink_old(registry: Registry, deployment: Object, current: Object, old: list[Object]) -> None:
    """Take down old pods that are not available first, then as many others as availability allows."""
    desired = deployment["spec"]["replicas"]
    floor = desired - limits(deployment)[1]
    total = current["spec"]["replicas"] + sum(rs["spec"]["replicas"] for rs in old)
    budget = total - floor - (current["spec"]["replicas"] - _available(current))
    ordered = sorted(old, key=revision)
    for rs in ordered:
        broken = rs["spec"]["replicas"] - _available(rs)
        cut = max(0, min(budget, broken))
        budget -= cut
        _scale(registry, deployment, rs, rs["spec"]["replicas"] - cut)
    ordered = [registry.get(_REPLICA_SET, rs["metadata"]["namespace"], rs["metadata"]["name"]) for rs in ordered]
    spare = _available(current) + sum(_available(rs) for rs in ordered) - floor
    for rs in ordered:
        cut = max(0, min(spare, rs["spec"]["replicas"]))
        spare -= cut
        _scale(registry, deployment, rs, rs["spec"]["replicas"] - cut)


def _scale(registry: Registry, deployment: Object, rs: Object, replicas: int) -> Object:
    before = rs["spec"]["replicas"]
    if before == replicas:
        return rs
    candidate = {**rs, "spec": {**rs["spec"], "replicas": replicas}}
    scaled = registry.replace(_REPLICA_SET, rs, candidate, CONTROLLER).obj
    word = "up" if replicas > before else "down"
    message = f"Scaled {word} replica set {rs['metadata']['name']} from {before} to {replicas}"
    emit(registry, _SOURCE, deployment, "Normal", "ScalingReplicaSet", message)
    return scaled


def _prune(registry: Registry, deployment: Object, current: Object, sets: list[Object]) -> None:
    """Forget the oldest empty ReplicaSets beyond the history limit."""
    empty = [
        rs
        for rs in sets
        if rs["metadata"]["uid"] != current["metadata"]["uid"]
        and rs["spec"]["replicas"] == 0
        and (rs.get("status") or {}).get("replicas", 0) == 0
    ]
    surplus = len(empty) - deployment["spec"]["revisionHistoryLimit"]
    for rs in sorted(empty, key=revision)[: max(surplus, 0)]:
        delete(registry, _REPLICA_SET, rs["metadata"]["namespace"], rs["metadata"]["name"], {}, CONTROLLER)


CONTROLLER_LOOP = Controller(name="deployment", keys=keys_of("Deployment", "ReplicaSet"), reconcile=reconcile)
