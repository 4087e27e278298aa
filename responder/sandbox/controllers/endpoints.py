"""EndpointSlices: for every Service with a selector, the addresses behind it and whether they are ready.

One slice per Service. Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import is_ready, owned, owner_reference
from responder.sandbox.deletion import delete
from responder.sandbox.objects import Object, StoreEvent
from responder.sandbox.quota import is_live
from responder.sandbox.registry import CONTROLLER, Registry
from responder.sandbox.resources import KINDS, POD
from responder.sandbox.selectors import selector_predicate

_SERVICE = KINDS["Service"]
_SLICE = KINDS["EndpointSlice"]


def keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    metadata = event.obj["metadata"]
    if event.resource is _SERVICE:
        yield metadata["namespace"], metadata["name"]
    elif event.resource is POD:
        for service in registry.store.list(_SERVICE, metadata["namespace"]):
            if _selected(service, event.obj) or (event.before and _selected(service, event.before)):
                yield metadata["namespace"], service["metadata"]["name"]


def _selected(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and selector_predicate({"matchLabels": selector})(pod["metadata"].get("labels") or {})


def reconcile(registry: Registry, key: Key) -> float | None:
    service = registry.store.get(_SERVICE, *key)
    if service is None:
        return None
    slices = owned(registry.store, _SLICE, service)
    if not service["spec"].get("selector"):
        for present in slices:
            delete(registry, _SLICE, key[0], present["metadata"]["name"], {}, CONTROLLER)
        return None
    pods = [pod for pod in registry.store.list(POD, key[0]) if _selected(service, pod)]
    content = {
        "addressType": "IPv4",
        "endpoints": [_endpoint(pod) for pod in pods if is_live(pod) and pod["status"].get("podIP")],
        "ports": [_port(port, pods) for port in service["spec"].get("ports") or ()],
    }
    if not slices:
        registry.create(_SLICE, key[0], {**_header(service), **content}, CONTROLLER)
    elif any(slices[0].get(name) != value for name, value in content.items()):
        registry.replace(_SLICE, slices[0], {**slices[0], **content}, CONTROLLER)
    return None


def _header(service: Object) -> Object:
    labels = {
        "kubernetes.io/service-name": service["metadata"]["name"],
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    return {
        "metadata": {
            "generateName": f"{service['metadata']['name']}-",
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        }
    }


def _endpoint(pod: Object) -> Object:
    ready, leaving = is_ready(pod), bool(pod["metadata"].get("deletionTimestamp"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not leaving, "serving": ready, "terminating": leaving},
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }


def _port(port: Object, pods: list[Object]) -> Object:
    number = port.get("targetPort", port["port"])
    if isinstance(number, str):
        number = next((found for pod in pods if (found := _named_port(pod, number))), 0)
    entry = {"name": port.get("name", ""), "protocol": port["protocol"]}
    return {**entry, "port": number} if number else entry


def _named_port(pod: Object, name: str) -> int:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return 0


CONTROLLER_LOOP = Controller(name="endpoints", keys=keys, reconcile=reconcile)
