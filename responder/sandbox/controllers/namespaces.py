"""Namespaces: the default service account and root certificate of each, and their end with all they hold.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from collections import Counter
from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import set_conditions
from responder.sandbox.deletion import delete
from responder.sandbox.objects import EventType, StoreEvent
from responder.sandbox.registry import CONTROLLER, Registry, timestamp
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
        _tell_what_is_left(registry, key[1])
        return _CHECK_SECONDS
    released = {**namespace, "spec": {**namespace["spec"], "finalizers": []}}
    registry.replace(NAMESPACE, namespace, released, CONTROLLER)
    return None


def _tell_what_is_left(registry: Registry, name: str) -> None:
    """Conditions that say which objects, and which of their finalizers, keep the namespace."""
    namespace = registry.store.get(NAMESPACE, "", name)
    kinds: Counter[str] = Counter()
    finalizers: Counter[str] = Counter()
    for resource, obj in registry.store.all():
        if obj["metadata"].get("namespace") == name:
            kinds[resource.qualified if resource.group else f"{resource.plural}."] += 1
            finalizers.update(obj["metadata"].get("finalizers") or ())
    if namespace is None or not kinds:
        return
    entries = [
        ("NamespaceContentRemaining", "SomeResourcesRemain", "Some resources are remaining", kinds, "has {} resource"),
        (
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining",
            finalizers,
            "in {} resource",
        ),
    ]
    changes = [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": f"{text}: " + ", ".join(f"{k} {how.format(n)} instances" for k, n in sorted(counted.items())),
        }
        for kind, reason, text, counted, how in entries
        if counted
    ]
    before = namespace["status"].get("conditions") or ()
    conditions = set_conditions(before, changes, timestamp(registry.now()))
    registry.write_status(NAMESPACE, "", name, {**namespace["status"], "conditions": conditions})


def furnish(registry: Registry, name: str) -> None:
    """Make what every namespace holds, where it is not there."""
    if registry.store.get(_ACCOUNT, name, "default") is None:
        registry.create(_ACCOUNT, name, {"metadata": {"name": "default"}}, CONTROLLER)
    if registry.store.get(_CONFIG_MAP, name, ROOT_CERTIFICATE) is None:
        body = {"metadata": {"name": ROOT_CERTIFICATE}, "data": {"ca.crt": ""}}
        registry.create(_CONFIG_MAP, name, body, CONTROLLER)


CONTROLLER_LOOP = Controller(name="namespaces", keys=keys, reconcile=reconcile)
