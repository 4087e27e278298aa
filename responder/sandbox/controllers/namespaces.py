"""Namespaces: the default service account and root certificate of each, and their end with all they hold.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.deletion import delete
from responder.sandbox.objects import EventType, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import KINDS, NAMESPACE

_ACCOUNT = KINDS["ServiceAccount"]
_CONFIG_MAP = KINDS["ConfigMap"]
ROOT_CERTIFICATE = "kube-root-ca.crt"
_CHECK_SECONDS = 0.5


def keys(_registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource is NAMESPACE:
        yield "", event.obj["metadata"]["name"]
    elif event.type is EventType.DELETED and event.obj["metadata"].get("namespace"):
        yield "", event.obj["metadata"]["namespace"]


def reconcile(registry: Registry, key: Key) -> float | None:
    namespace = registry.store.get(NAMESPACE, *key)
    if namespace is None:
        return None
    if not namespace["metadata"].get("deletionTimestamp"):
        furnish(registry, key[1])
        return None
    left = 0
    for resource, obj in registry.store.all():
        if obj["metadata"].get("namespace") != key[1]:
            continue
        left += 1
        if not obj["metadata"].get("deletionTimestamp"):
            delete(registry, resource, key[1], obj["metadata"]["name"], {}, CONTROLLER)
    if left:
        return _CHECK_SECONDS
    released = {**namespace, "spec": {**namespace["spec"], "finalizers": []}}
    registry.replace(NAMESPACE, namespace, released, CONTROLLER)
    return None


def furnish(registry: Registry, name: str) -> None:
    """Make what every namespace holds, where it is not there."""
    if registry.store.get(_ACCOUNT, name, "default") is None:
        registry.create(_ACCOUNT, name, {"metadata": {"name": "default"}}, CONTROLLER)
    if registry.store.get(_CONFIG_MAP, name, ROOT_CERTIFICATE) is None:
        body = {"metadata": {"name": ROOT_CERTIFICATE}, "data": {"ca.crt": ""}}
        registry.create(_CONFIG_MAP, name, body, CONTROLLER)


CONTROLLER_LOOP = Controller(name="namespaces", keys=keys, reconcile=reconcile)
