"""ResourceQuota: what a namespace uses, and whether one more object fits.

Counted: pods, their cpu and memory, and objects by `count/<resource>` or the short names; no scopes.
Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from responder.sandbox.defaults import containers
from responder.sandbox.failures import forbidden
from responder.sandbox.objects import Object, Store
from responder.sandbox.quantity import format_quantity, parse_quantity
from responder.sandbox.resources import KINDS, POD, Resource

_COMPUTE = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    "requests.cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
}
_SHORT_COUNTS = frozenset({"pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "resourcequotas"})


def is_live(pod: Mapping[str, Any]) -> bool:
    """Finished pods use no quota and count in no workload."""
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def charge(resource: Resource, obj: Object, hard: Mapping[str, str]) -> dict[str, Fraction]:
    """What one object uses of the amounts that a quota limits."""
    used: dict[str, Fraction] = {}
    for name in hard:
        count_name = f"count/{resource.qualified}"
        if name == count_name or (name == resource.plural and name in _SHORT_COUNTS):
            used[name] = Fraction(1)
        elif resource is POD and name in _COMPUTE:
            kind, amount = _COMPUTE[name]
            used[name] = _sum(obj["spec"], kind, amount)
    return used


def _sum(spec: Mapping[str, Any], kind: str, amount: str) -> Fraction:
    total = Fraction(0)
    for container in spec.get("containers") or ():
        value = ((container.get("resources") or {}).get(kind) or {}).get(amount)
        total += parse_quantity(value) if value is not None else 0
    return total


def usage(store: Store, quota: Object) -> dict[str, Fraction]:
    """What the namespace uses now of each limited amount."""
    hard = quota.get("spec", {}).get("hard") or {}
    used = dict.fromkeys(hard, Fraction(0))
    for resource, obj in store.all():
        if obj["metadata"].get("namespace") != quota["metadata"]["namespace"]:
            continue
        if resource is POD and not is_live(obj):
            continue
        for name, amount in charge(resource, obj, hard).items():
            used[name] += amount
    return used


def usage_status(store: Store, quota: Object) -> Object:
    hard = quota.get("spec", {}).get("hard") or {}
    used = usage(store, quota)
    return {"hard": hard, "used": {name: format_quantity(used[name], hard[name]) for name in hard}}


def require_quota(store: Store, resource: Resource, obj: Object) -> None:
    """Raises `ApiFailure` 403 when the new object does not fit in a quota of its namespace."""
    metadata = obj["metadata"]
    for quota in store.list(KINDS["ResourceQuota"], metadata.get("namespace", "-")):
        hard = quota.get("spec", {}).get("hard") or {}
        asked = charge(resource, obj, hard)
        if not asked:
            continue
        _require_amounts(resource, obj, quota, hard)
        used = usage(store, quota)
        over = sorted(name for name in asked if used[name] + asked[name] > parse_quantity(hard[name]))
        if over:

            def shown(amounts: Mapping[str, Any], names: list[str] = over, hard: Any = hard) -> str:
                return ",".join(f"{name}={format_quantity(parse_amount(amounts[name]), hard[name])}" for name in names)

            why = (
                f"exceeded quota: {quota['metadata']['name']}, requested: {shown(asked)}, "
                f"used: {shown(used)}, limited: {shown(hard)}"
            )
            raise forbidden(resource, metadata["name"], why)


def parse_amount(value: Any) -> Fraction:
    return value if isinstance(value, Fraction) else parse_quantity(value)


def _require_amounts(resource: Resource, obj: Object, quota: Object, hard: Mapping[str, str]) -> None:
    if resource is not POD:
        return
    missing: dict[str, list[str]] = {}
    for name in sorted(hard):
        kind, amount = _COMPUTE.get(name, ("", ""))
        for container in containers(obj["spec"]):
            if kind and amount not in ((container.get("resources") or {}).get(kind) or {}):
                missing.setdefault(name, []).append(container["name"])
    if missing:
        wanted = "; ".join(f"{name} for: {','.join(names)}" for name, names in missing.items())
        raise forbidden(
            resource, obj["metadata"]["name"], f"failed quota: {quota['metadata']['name']}: must specify {wanted}"
        )
