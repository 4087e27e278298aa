"""LimitRange: what a container gets where it asks for nothing, and how much it may ask for at most and at least.

Of its types only Container is known. Source: https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from collections.abc import Iterator
from typing import Any

from responder.sandbox.defaults import containers
from responder.sandbox.failures import forbidden
from responder.sandbox.objects import Object, Store
from responder.sandbox.quantity import parse_quantity
from responder.sandbox.resources import KINDS, POD


def _container_limits(store: Store, namespace: str) -> Iterator[Object]:
    for found in store.list(KINDS["LimitRange"], namespace):
        for limit in found["spec"].get("limits") or ():
            if limit.get("type") == "Container":
                yield limit


def fill(store: Store, pod: Object) -> None:
    """The namespace's default requests and limits."""
    for limit in _container_limits(store, pod["metadata"]["namespace"]):
        highest = limit.get("default") or limit.get("max") or {}
        least = limit.get("defaultRequest") or highest or limit.get("min") or {}
        for container in containers(pod["spec"]):
            resources = container.setdefault("resources", {})
            _add(resources, "limits", highest)
            _add(resources, "requests", least)


def _add(resources: Object, key: str, amounts: dict[str, str]) -> None:
    if amounts:
        resources[key] = {**amounts, **(resources.get(key) or {})}


def require(store: Store, pod: Object) -> None:
    """Raises `ApiFailure` 403 when a container asks for more or less than the namespace allows."""
    found = [
        text
        for limit in _container_limits(store, pod["metadata"]["namespace"])
        for container in containers(pod["spec"])
        for text in _violations(limit, container.get("resources") or {})
    ]
    if found:
        why = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        raise forbidden(POD, pod["metadata"].get("name", ""), why)


def _violations(limit: Object, resources: dict[str, Any]) -> Iterator[str]:
    for name, most in sorted((limit.get("max") or {}).items()):
        asked = (resources.get("limits") or {}).get(name)
        if asked is None:
            yield f"maximum {name} usage per Container is {most}.  No limit is specified"
        elif parse_quantity(asked) > parse_quantity(most):
            yield f"maximum {name} usage per Container is {most}, but limit is {asked}"
    for name, least in sorted((limit.get("min") or {}).items()):
        asked = (resources.get("requests") or {}).get(name)
        if asked is None:
            yield f"minimum {name} usage per Container is {least}.  No request is specified"
        elif parse_quantity(asked) < parse_quantity(least):
            yield f"minimum {name} usage per Container is {least}, but request is {asked}"
