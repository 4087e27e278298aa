"""HorizontalPodAutoscaler: finds its target and fails to get metrics, because there is nobody here to measure.

Source: https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#autoscaling-status-conditions
"""

from collections.abc import Iterator

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import emit, set_conditions
from responder.sandbox.failures import not_found
from responder.sandbox.objects import Object, StoreEvent
from responder.sandbox.registry import Registry, timestamp
from responder.sandbox.resources import KINDS

_AUTOSCALER = KINDS["HorizontalPodAutoscaler"]
_SOURCE = "horizontal-pod-autoscaler"
_PERIOD_SECONDS = 15.0
_NO_METRICS = "the server could not find the requested resource (get pods.metrics.k8s.io)"


def keys(_registry: Registry, event: StoreEvent) -> Iterator[Key]:
    if event.resource is _AUTOSCALER:
        yield event.obj["metadata"]["namespace"], event.obj["metadata"]["name"]


def reconcile(registry: Registry, key: Key) -> float | None:
    scaler = registry.store.get(_AUTOSCALER, *key)
    if scaler is None:
        return None
    target = scaler["spec"]["scaleTargetRef"]
    kind = KINDS.get(target["kind"])
    found = registry.store.get(kind, key[0], target["name"]) if kind else None
    before = scaler.get("status") or {}
    if found is None:
        changes, status = [_lost(registry, scaler, target)], {**before, "currentReplicas": 0}
    else:
        replicas = (found.get("status") or {}).get("replicas", 0)
        changes, status = _unmeasured(registry, scaler), {**before, "currentReplicas": replicas}
    conditions = set_conditions(before.get("conditions") or (), changes, timestamp(registry.now()))
    registry.write_status(_AUTOSCALER, *key, {"desiredReplicas": 0, **status, "conditions": conditions})
    return _PERIOD_SECONDS


def _lost(registry: Registry, scaler: Object, target: Object) -> Object:
    kind = KINDS.get(target["kind"])
    missing = not_found(kind, target["name"]).message if kind else f"no matches for kind {target['kind']!r}"
    emit(registry, _SOURCE, scaler, "Warning", "FailedGetScale", missing)
    message = f"the HPA controller was unable to get the target's current scale: {missing}"
    return {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": message}


def _unmeasured(registry: Registry, scaler: Object) -> list[Object]:
    able = {
        "type": "AbleToScale",
        "status": "True",
        "reason": "SucceededGetScale",
        "message": "the HPA controller was able to get the target's current scale",
    }
    named = [metric["resource"]["name"] for metric in scaler["spec"].get("metrics") or () if metric.get("resource")]
    resource = named[0] if named else "cpu"
    why = (
        f"failed to get {resource} utilization: unable to get metrics for resource {resource}: "
        f"unable to fetch metrics from resource metrics API: {_NO_METRICS}"
    )
    emit(registry, _SOURCE, scaler, "Warning", "FailedGetResourceMetric", why)
    message = f"the HPA was unable to compute the replica count: {why}"
    active = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": message}
    return [able, active]


CONTROLLER_LOOP = Controller(name="scaling", keys=keys, reconcile=reconcile)
