"""PersistentVolumeClaims: bound at once where their class exists, Pending with the reason where it does not.

There are no volumes behind them, but for those that someone made and a claim asks for by name: such a claim is bound
to its volume, and lost with it. Without a class of its own a claim takes what a default class would give.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import emit
from responder.sandbox.objects import Object, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import KINDS

_CLAIM = KINDS["PersistentVolumeClaim"]
_CLASS = KINDS["StorageClass"]
_VOLUME = KINDS["PersistentVolume"]
_SOURCE = "persistentvolume-controller"


def keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource is _CLAIM:
        yield event.obj["metadata"]["namespace"], event.obj["metadata"]["name"]
    elif event.resource in (_CLASS, _VOLUME):
        for claim in registry.store.list(_CLAIM):
            yield claim["metadata"]["namespace"], claim["metadata"]["name"]


def reconcile(registry: Registry, key: Key) -> float | None:
    claim = registry.store.get(_CLAIM, *key)
    if claim is None or claim["status"].get("phase") == "Lost":
        return None
    if claim["status"].get("phase") == "Bound":
        _require_volume(registry, claim)
        return None
    name = claim["spec"].get("storageClassName")
    asked = claim["spec"].get("volumeName")
    if asked and registry.store.get(_VOLUME, "", asked) is None:
        return None
    if not asked and name and registry.store.get(_CLASS, "", name) is None:
        message = f'storageclass.storage.k8s.io "{name}" not found'
        emit(registry, _SOURCE, claim, "Warning", "ProvisioningFailed", message)
        return None
    if not asked:
        bound = {**claim, "spec": {**claim["spec"], "volumeName": _made_up(claim)}}
        registry.replace(_CLAIM, claim, bound, CONTROLLER)
    status = {
        "phase": "Bound",
        "accessModes": claim["spec"].get("accessModes") or [],
        "capacity": (claim["spec"].get("resources") or {}).get("requests") or {},
    }
    registry.write_status(_CLAIM, *key, status)
    return None


def _made_up(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _require_volume(registry: Registry, claim: Object) -> None:
    volume = claim["spec"]["volumeName"]
    if volume == _made_up(claim) or registry.store.get(_VOLUME, "", volume) is not None:
        return
    metadata = claim["metadata"]
    registry.write_status(_CLAIM, metadata["namespace"], metadata["name"], {**claim["status"], "phase": "Lost"})
    message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    emit(registry, _SOURCE, claim, "Warning", "ClaimLost", message)


CONTROLLER_LOOP = Controller(name="claims", keys=keys, reconcile=reconcile)
