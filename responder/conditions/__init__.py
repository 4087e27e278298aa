"""What is wrong with an object now, as it and the events about it tell. Pure, and total over any JSON.

Decides nothing about time: how long a condition must last before it counts, and be gone before it is over, is part of
it and kept by `episodes`. Who owns the object is found by the watcher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from responder.conditions import (
    events,
    jobs,
    namespaces,
    nodes,
    pods,
    proactive,
    scaling,
    services,
    storage,
    workloads,
)
from responder.conditions.events import condition_of_event
from responder.conditions.model import Condition, Surroundings
from responder.domain.manifest import Json, Manifest

__all__ = ["NAMES", "condition_of_event", "conditions_of", "proactive_conditions_of"]

_BY_KIND: Mapping[str, Callable[[Manifest, Surroundings], tuple[Condition, ...]]] = {
    "Pod": pods.conditions,
    "Deployment": workloads.conditions,
    "StatefulSet": workloads.conditions,
    "DaemonSet": workloads.conditions,
    "ReplicaSet": workloads.conditions,
    "Job": jobs.conditions,
    "CronJob": jobs.conditions,
    "Service": services.conditions,
    "PersistentVolumeClaim": storage.conditions,
    "HorizontalPodAutoscaler": scaling.conditions,
    "PodDisruptionBudget": scaling.conditions,
    "Node": nodes.conditions,
    "Namespace": namespaces.conditions,
    "ResourceQuota": namespaces.conditions,
}

NAMES: Mapping[str, str] = {
    **pods.NAMES,
    **workloads.NAMES,
    **jobs.NAMES,
    **services.NAMES,
    **storage.NAMES,
    **scaling.NAMES,
    **nodes.NAMES,
    **namespaces.NAMES,
    **events.NAMES,
    **proactive.NAMES,
}
"""Every alert name that a condition can have -> what it means."""


STATUS_NAMES = frozenset({**services.NAMES, **storage.NAMES, **scaling.NAMES, **nodes.NAMES, **namespaces.NAMES}) - {
    "CordonedWithPendingPods"
}
"""Names of what objects without pods of their own say by their status alone."""


def conditions_of(kind: str, body: Json, around: Surroundings) -> tuple[Condition, ...]:
    """All that is wrong with the object; nothing for kinds that are watched for the sake of others only."""
    judge = _BY_KIND.get(kind)
    return judge(_named(kind, body), around) if judge is not None and isinstance(body, Mapping) else ()


def proactive_conditions_of(
    kind: str, body: Json, around: Surroundings, checks: frozenset[str]
) -> tuple[Condition, ...]:
    """What the `checks` that are on have to say about the object, though nothing is wrong yet."""
    return proactive.checks(kind, _named(kind, body), around, checks) if isinstance(body, Mapping) else ()


def _named(kind: str, body: Manifest) -> Manifest:
    """Items of a list come without their kind."""
    return body if body.get("kind") == kind else {**body, "kind": kind}
