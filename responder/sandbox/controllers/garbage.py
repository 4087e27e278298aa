"""Garbage collection: dependents go when their last owner is gone; foreground and orphan deletion.

Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.deletion import FOREGROUND, ORPHAN, delete
from responder.sandbox.objects import EventType, Object, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import Resource

# The key is (uid of the owner, ""): by then the owner itself may be gone.


def keys(_registry: Registry, event: StoreEvent) -> Iterator[Key]:
    metadata = event.obj["metadata"]
    if event.type is EventType.DELETED or metadata.get("deletionTimestamp"):
        yield metadata["uid"], ""
    for reference in metadata.get("ownerReferences") or ():
        # A dependent made after its owner went, or the last one a foreground deletion waits for.
        if event.type in (EventType.ADDED, EventType.DELETED):
            yield reference["uid"], ""


def reconcile(registry: Registry, key: Key) -> float | None:
    uid, _ = key
    present = {obj["metadata"]["uid"]: (resource, obj) for resource, obj in registry.store.all()}
    dependents = [(resource, obj) for resource, obj in present.values() if _depends(obj, uid)]
    if uid in present:
        _end_owner(registry, *present[uid], dependents)
        return None
    for resource, obj in dependents:
        if all(reference["uid"] not in present for reference in obj["metadata"]["ownerReferences"]):
            _delete(registry, resource, obj, "Background")
    return None


def _end_owner(
    registry: Registry, resource: Resource, owner: Object, dependents: list[tuple[Resource, Object]]
) -> None:
    """What a foreground or orphan deletion of the owner means for its dependents."""
    finalizers = owner["metadata"].get("finalizers") or ()
    if not owner["metadata"].get("deletionTimestamp"):
        return
    if ORPHAN in finalizers:
        for kind, obj in dependents:
            _release(registry, kind, obj, owner["metadata"]["uid"])
        _finish(registry, resource, owner, ORPHAN)
    elif FOREGROUND in finalizers:
        for kind, obj in dependents:
            if not obj["metadata"].get("deletionTimestamp"):
                _delete(registry, kind, obj, "Foreground")
        if not dependents:
            _finish(registry, resource, owner, FOREGROUND)


def _depends(obj: Object, uid: str) -> bool:
    return any(reference["uid"] == uid for reference in obj["metadata"].get("ownerReferences") or ())


def _delete(registry: Registry, resource: Resource, obj: Object, policy: str) -> None:
    metadata = obj["metadata"]
    options = {"propagationPolicy": policy}
    delete(registry, resource, metadata.get("namespace", ""), metadata["name"], options, CONTROLLER)


def _release(registry: Registry, resource: Resource, obj: Object, uid: str) -> None:
    left = [reference for reference in obj["metadata"]["ownerReferences"] if reference["uid"] != uid]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
    if left:
        metadata["ownerReferences"] = left
    registry.replace(resource, obj, {**obj, "metadata": metadata}, CONTROLLER)


def _finish(registry: Registry, resource: Resource, owner: Object, finalizer: str) -> None:
    left = [name for name in owner["metadata"]["finalizers"] if name != finalizer]
    metadata = {**owner["metadata"], "finalizers": left}
    registry.replace(resource, owner, {**owner, "metadata": metadata}, CONTROLLER)


CONTROLLER_LOOP = Controller(name="garbage", keys=keys, reconcile=reconcile)
