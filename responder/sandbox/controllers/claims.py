"""PersistentVolumeClaims: bound at once where their class exists, Pending with the reason where it does not.

There are no volumes behind them. Without a class of its own a claim takes what a default class would give.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import emit
from responder.sandbox.objects import StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import KINDS

_CLAIM = KINDS["PersistentVolumeClaim"]
_CLASS = KINDS["StorageClass"]


def keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource is _CLAIM:
        yield event.obj["metadata"]["namespace"], event.obj["metadata"]["name"]
    elif event.resource is _CLASS:
        for claim in registry.store.list(_CLAIM):
            yield claim["metadata"]["namespace"], claim["metadata"]["name"]


def reconcile(registry: Registry, key: Key) -> float | None:
    claim = registry.store.get(_CLAIM, *key)
    if claim is None or claim["status"].get("phase") == "Bound":
        return None
    name = claim["spec"].get("storageClassName")
    if name and registry.store.get(_CLASS, "", name) is None:
        message = f'storageclass.storage.k8s.io "{name}" not found'
        emit(registry, "persistentvolume-controller", claim, "Warning", "ProvisioningFailed", message)
        return None
    volume = f"pvc-{claim['metadata']['uid']}"
    bound = {**claim, "spec": {**claim["spec"], "volumeName": volume}}
    registry.replace(_CLAIM, claim, bound, CONTROLLER)
    status = {
        "phase": "Bound",
        "accessModes": claim["spec"].get("accessModes") or [],
        "capacity": (claim["spec"].get("resources") or {}).get("requests") or {},
    }
    registry.write_status(_CLAIM, *key, status)
    return None


CONTROLLER_LOOP = Controller(name="claims", keys=keys, reconcile=reconcile)
