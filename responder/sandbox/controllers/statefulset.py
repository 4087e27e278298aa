"""StatefulSet: numbered pods in order, their claims, and updates from the highest number down.

As on a real cluster an ordered rollout waits for a broken pod for ever, even once the template is repaired: the pod
has to be deleted. Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
"""

from collections.abc import Mapping

from responder.sandbox.controllers.loop import RETRY_SECONDS, Controller, Key
from responder.sandbox.controllers.workload import (
    REVISION_LABEL,
    create_pod,
    emit,
    is_ready,
    is_refused,
    keys_of,
    owned_pods,
    pod_from,
    revision_for,
)
from responder.sandbox.deletion import delete
from responder.sandbox.objects import Object, clone
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import KINDS, POD

_STATEFUL_SET = KINDS["StatefulSet"]
_CLAIM = KINDS["PersistentVolumeClaim"]
_SOURCE = "statefulset-controller"


def reconcile(registry: Registry, key: Key) -> float | None:
    owner = registry.store.get(_STATEFUL_SET, *key)
    if owner is None or owner["metadata"].get("deletionTimestamp"):
        return None
    hash_, _ = revision_for(registry, owner)
    update = f"{owner['metadata']['name']}-{hash_}"  # the label of a StatefulSet's pod is the revision's whole name
    pods = {ordinal(pod): pod for pod in owned_pods(registry.store, owner)}
    refused = is_refused(lambda: _step(registry, owner, pods, update))
    after = {ordinal(pod): pod for pod in owned_pods(registry.store, owner)}
    registry.write_status(_STATEFUL_SET, *key, _status(owner, after, update))
    return RETRY_SECONDS if refused else None


def ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _step(registry: Registry, owner: Object, pods: Mapping[int, Object], update: str) -> None:
    """One change at most where order matters: create, scale down, or replace one pod of an old revision."""
    replicas = owner["spec"]["replicas"]
    ordered = owner["spec"]["podManagementPolicy"] == "OrderedReady"
    for number in range(replicas):
        if number not in pods:
            _create(registry, owner, number, update)
        if ordered and not _is_settled(pods.get(number)):
            return
    for number in sorted((n for n in pods if n >= replicas), reverse=True):
        _delete(registry, owner, pods[number])
        if ordered:
            return
    if owner["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        _update(registry, owner, pods, update)


def _is_settled(pod: Object | None) -> bool:
    return pod is not None and is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def _update(registry: Registry, owner: Object, pods: Mapping[int, Object], update: str) -> None:
    partition = (owner["spec"]["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
    for number in sorted((n for n in pods if n >= partition), reverse=True):
        pod = pods[number]
        if pod["metadata"]["labels"].get(REVISION_LABEL) != update:
            _delete(registry, owner, pod)
            return
        if not _is_settled(pod):
            return


def _delete(registry: Registry, owner: Object, pod: Object) -> None:
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        return
    delete(registry, POD, pod["metadata"]["namespace"], name, {}, CONTROLLER)
    message = f"delete Pod {name} in StatefulSet {owner['metadata']['name']} successful"
    emit(registry, _SOURCE, owner, "Normal", "SuccessfulDelete", message)


def _create(registry: Registry, owner: Object, number: int, update: str) -> None:
    name = f"{owner['metadata']['name']}-{number}"
    labels = {
        REVISION_LABEL: update,
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(number),
    }
    pod = pod_from(owner, owner["spec"]["template"], labels=labels)
    pod["metadata"] |= {"name": name}
    del pod["metadata"]["generateName"]
    pod["spec"] |= {"hostname": name, "subdomain": owner["spec"].get("serviceName", "")}
    _add_claims(registry, owner, pod, number)
    refused = f"create Pod {name} in StatefulSet {owner['metadata']['name']} failed error"
    create_pod(registry, _SOURCE, owner, pod, why=refused)
    message = f"create Pod {name} in StatefulSet {owner['metadata']['name']} successful"
    emit(registry, _SOURCE, owner, "Normal", "SuccessfulCreate", message)


def _add_claims(registry: Registry, owner: Object, pod: Object, number: int) -> None:
    namespace = owner["metadata"]["namespace"]
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        name = f"{template['metadata']['name']}-{owner['metadata']['name']}-{number}"
        if registry.store.get(_CLAIM, namespace, name) is None:
            labels = owner["spec"]["selector"].get("matchLabels") or {}
            body = {"metadata": {"name": name, "labels": labels}, "spec": clone(template["spec"])}
            registry.create(_CLAIM, namespace, body, CONTROLLER)
        volume = {"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}}
        pod["spec"].setdefault("volumes", []).append(volume)


def _status(owner: Object, pods: Mapping[int, Object], update: str) -> Object:
    before = owner.get("status") or {}
    present = [pod for pod in pods.values() if not pod["metadata"].get("deletionTimestamp")]
    ready = sum(is_ready(pod) for pod in present)
    updated = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == update for pod in present)
    current = before.get("currentRevision") or update
    if updated == ready == len(present) == owner["spec"]["replicas"]:
        current = update
    of_current = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == current for pod in present)
    counts = {"readyReplicas": ready, "updatedReplicas": updated, "currentReplicas": of_current}
    return {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": len(present),
        "availableReplicas": ready,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        **{key: value for key, value in counts.items() if value},
    }


CONTROLLER_LOOP = Controller(name="statefulset", keys=keys_of("StatefulSet", "Pod"), reconcile=reconcile)
