"""Deleting: preconditions, grace for pods, finalizers, propagation to dependents, eviction under disruption budgets.

What is left to others: the kubelet ends a pod's grace, `controllers.garbage` deletes dependents.
Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/ and .../workloads/pods/disruptions/
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from responder.sandbox.failures import Cause, failed_precondition, too_many_requests
from responder.sandbox.objects import Object, Store, clone
from responder.sandbox.quota import is_live
from responder.sandbox.registry import Outcome, Registry, Write, timestamp
from responder.sandbox.resources import KINDS, NAMESPACE, POD, Resource
from responder.sandbox.selectors import selector_predicate

_RETURNED = frozenset({"Pod", "Namespace", "Service", "ServiceAccount", "PersistentVolumeClaim", "ResourceQuota"})
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def delete(
    registry: Registry, resource: Resource, namespace: str, name: str, options: Mapping[str, Any], write: Write
) -> Outcome:
    """Delete, or mark as being deleted. Raises `ApiFailure` 404, or 409 when a precondition does not hold."""
    live = registry.get(resource, namespace, name)
    _require_preconditions(resource, live, options.get("preconditions") or {})
    marked = _mark(registry, resource, live, options)
    if marked is None:
        if resource is POD:
            live = clone(live)
            _stamp(registry, live["metadata"], 0)
        if not write.dry_run:
            live = registry.store.remove(resource, namespace, name, last=live)
        answer = live if resource.kind in _RETURNED else _success(resource, live)
        return Outcome(obj=answer, changed=not write.dry_run)
    if write.dry_run or marked == live:
        return Outcome(obj=marked, changed=False)
    return Outcome(obj=registry.store.put(resource, marked), changed=True)


def _require_preconditions(resource: Resource, live: Object, wanted: Mapping[str, Any]) -> None:
    metadata = live["metadata"]
    if wanted.get("uid") and wanted["uid"] != metadata["uid"]:
        why = (
            f"the UID in the precondition ({wanted['uid']}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise failed_precondition(resource, metadata["name"], why)
    version = wanted.get("resourceVersion")
    if version and version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise failed_precondition(resource, metadata["name"], why)


def _mark(registry: Registry, resource: Resource, live: Object, options: Mapping[str, Any]) -> Object | None:
    """The object as being deleted; None when it can go at once."""
    marked = clone(live)
    metadata = marked["metadata"]
    grace = _grace_seconds(resource, live, options)
    finalizers = list(metadata.get("finalizers") or ())
    policy = options.get("propagationPolicy")
    for name, wanted in ((FOREGROUND, policy == "Foreground"), (ORPHAN, policy == "Orphan")):
        if wanted and name not in finalizers:
            finalizers.append(name)
    held = finalizers or grace or (resource is NAMESPACE and live["spec"].get("finalizers"))
    if not held:
        return None
    if finalizers:
        metadata["finalizers"] = finalizers
    _stamp(registry, metadata, grace)
    if resource is NAMESPACE:
        marked["status"] = {**marked.get("status", {}), "phase": "Terminating"}
    return marked


def _stamp(registry: Registry, metadata: Object, grace: int) -> None:
    earlier = metadata.get("deletionGracePeriodSeconds")
    if metadata.get("deletionTimestamp") and (earlier is None or grace >= earlier):
        return
    metadata["deletionTimestamp"] = timestamp(registry.now() + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    if "generation" in metadata:
        metadata["generation"] += 1


def _grace_seconds(resource: Resource, live: Object, options: Mapping[str, Any]) -> int:
    """Only a pod on a node, not yet finished, is given time."""
    if resource is not POD or not live["spec"].get("nodeName") or not is_live(live):
        return 0
    asked = options.get("gracePeriodSeconds")
    seconds = live["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked
    return max(int(seconds), 0)


def _success(resource: Resource, obj: Object) -> Object:
    details: Object = {"name": obj["metadata"]["name"], "kind": resource.plural, "uid": obj["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def evict(registry: Registry, namespace: str, name: str, body: Mapping[str, Any], write: Write) -> Outcome:
    """Delete a pod unless a disruption budget forbids it. Raises `ApiFailure` 429."""
    pod = registry.get(POD, namespace, name)
    options = body.get("deleteOptions") or {}
    budget = _budget_of(registry.store, pod)
    if budget is not None and is_live(pod) and not pod["metadata"].get("deletionTimestamp"):
        _use_budget(registry, budget, pod, write)
    outcome = delete(registry, POD, namespace, name, options, write)
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return Outcome(obj=success, changed=outcome.changed, created=True)


def _budget_of(store: Store, pod: Object) -> Object | None:
    labels = pod["metadata"].get("labels") or {}
    for budget in store.list(KINDS["PodDisruptionBudget"], pod["metadata"]["namespace"]):
        if selector_predicate(budget["spec"].get("selector"))(labels):
            return budget
    return None


def _use_budget(registry: Registry, budget: Object, pod: Object, write: Write) -> None:
    status = budget.get("status") or {}
    name = budget["metadata"]["name"]
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 1):
        raise too_many_requests(
            message,
            Cause(
                reason="DisruptionBudget",
                message=f"The disruption budget {name} is still being processed by the server.",
            ),
        )
    if status.get("disruptionsAllowed", 0) <= 0:
        healthy, wanted = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        why = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        raise too_many_requests(message, Cause(reason="DisruptionBudget", message=why))
    if not write.dry_run:
        disrupted = {**status.get("disruptedPods", {}), pod["metadata"]["name"]: timestamp(registry.now())}
        used = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted}
        registry.write_status(KINDS["PodDisruptionBudget"], budget["metadata"]["namespace"], name, used)
