"""The status of what limits others: PodDisruptionBudgets and ResourceQuotas.

Sources: https://kubernetes.io/docs/tasks/run-application/configure-pdb/ and .../concepts/policy/resource-quotas/
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import controller_of, is_active, is_ready, set_conditions, share
from responder.sandbox.objects import Object, StoreEvent
from responder.sandbox.quota import usage_status
from responder.sandbox.registry import Registry, timestamp
from responder.sandbox.resources import KINDS, POD
from responder.sandbox.selectors import selector_predicate

_BUDGET = KINDS["PodDisruptionBudget"]
_QUOTA = KINDS["ResourceQuota"]


def disruption_keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource in (_BUDGET, POD):
        namespace = event.obj["metadata"]["namespace"]
        for budget in registry.store.list(_BUDGET, namespace):
            yield namespace, budget["metadata"]["name"]


def reconcile_disruption(registry: Registry, key: Key) -> float | None:
    budget = registry.store.get(_BUDGET, *key)
    if budget is None:
        return None
    selected = selector_predicate(budget["spec"].get("selector"))
    pods = [
        pod
        for pod in registry.store.list(POD, key[0])
        if selected(pod["metadata"].get("labels") or {}) and is_active(pod)
    ]
    expected = _expected(registry, pods)
    desired = _desired(budget["spec"], expected)
    healthy = sum(is_ready(pod) for pod in pods)
    allowed = max(0, healthy - desired) if expected else 0
    sufficient = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget["metadata"]["generation"],
    }
    before = (budget.get("status") or {}).get("conditions") or ()
    status = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"]["generation"],
        "conditions": set_conditions(before, [sufficient], timestamp(registry.now())),
    }
    registry.write_status(_BUDGET, *key, status)
    return None


def _expected(registry: Registry, pods: list[Object]) -> int:
    """The scale of the pods' controllers; pods without one count themselves."""
    owners: dict[str, int] = {}
    for pod in pods:
        reference = controller_of(pod)
        if reference is None or reference["kind"] not in ("ReplicaSet", "StatefulSet"):
            owners[pod["metadata"]["uid"]] = 1
            continue
        kind = KINDS[reference["kind"]]
        owner = registry.store.get(kind, pod["metadata"]["namespace"], reference["name"])
        top = controller_of(owner) if owner else None
        if owner and top and top["kind"] == "Deployment":
            owner = registry.store.get(KINDS["Deployment"], owner["metadata"]["namespace"], top["name"])
        if owner:
            owners[owner["metadata"]["uid"]] = owner["spec"]["replicas"]
    return sum(owners.values())


def _desired(spec: Object, expected: int) -> int:
    if "maxUnavailable" in spec:
        return max(0, expected - share(spec["maxUnavailable"], expected, round_up=True))
    return share(spec.get("minAvailable", 0), expected, round_up=True)


def quota_keys(registry: Registry, event: StoreEvent) -> Iterator[Key]:
    namespace = event.obj["metadata"].get("namespace")
    if namespace:
        for quota in registry.store.list(_QUOTA, namespace):
            yield namespace, quota["metadata"]["name"]


def reconcile_quota(registry: Registry, key: Key) -> float | None:
    quota = registry.store.get(_QUOTA, *key)
    if quota is not None:
        registry.write_status(_QUOTA, *key, usage_status(registry.store, quota))
    return None


DISRUPTION_LOOP = Controller(name="disruption", keys=disruption_keys, reconcile=reconcile_disruption)
QUOTA_LOOP = Controller(name="quota", keys=quota_keys, reconcile=reconcile_quota)
