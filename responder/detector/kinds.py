"""Which kinds are watched, and what for."""

from __future__ import annotations

from responder.detector.record import RECORDED_KINDS
from responder.domain.refs import CLUSTER_SCOPED

JUDGED_KINDS = (
    "Pod",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Service",
    "EndpointSlice",
    "PersistentVolumeClaim",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ResourceQuota",
    "Event",
    "Node",
    "Namespace",
)
"""Kinds whose state tells of trouble, or is needed to tell whose trouble it is."""

OPTIONAL_KINDS = frozenset({"Certificate"})
"""Kinds that a cluster may not know: their absence is no gap."""


def watched_kinds(*, record: bool, checks: frozenset[str]) -> tuple[str, ...]:
    """What to watch, without repetition. `record`: the versions of objects are recorded as well."""
    wanted = [*JUDGED_KINDS, *(RECORDED_KINDS if record else ())]
    if "certificate_expiry" in checks:
        wanted.append("Certificate")
    return tuple(dict.fromkeys(wanted))


def is_namespaced(kind: str) -> bool:
    return kind not in CLUSTER_SCOPED
