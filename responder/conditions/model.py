"""What a detector of conditions sees and says. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Endpoints

__all__ = ["Condition", "Endpoints", "Severity", "Surroundings"]


class Severity(StrEnum):
    """The words of kube-prometheus."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One thing that is wrong with one object now, as the object or an event about it tells."""

    name: str
    """Becomes the alert's name: the word operators know, `CrashLoopBackOff`, `Unschedulable`. One of a closed set."""
    about: ObjectRef
    """The object that shows it, with uid. Who owns it is found by the watcher."""
    container: str = ""
    """Container or init container; empty where the whole object is meant."""
    severity: Severity = Severity.WARNING
    summary: str
    """One sentence for people: what is wrong, with the server's own words where they tell more. Not redacted yet."""
    since: datetime | None = None
    """When it began, where the object says so; None: when it was first seen."""
    age_seconds: float = 0.0
    """It counts only once it has lasted this long: most of what is wrong for seconds mends itself."""
    soak_seconds: float = 60.0
    """It is over only once it has been gone this long."""
    causes: tuple[str, ...] = ()
    """Keys of what other workloads may suffer from as well, most telling first: `Node/worker-1`, `ConfigMap/shop/app`,
    `Secret/shop/tls`, `PersistentVolumeClaim/shop/data`, `ResourceQuota/shop/compute`, `image/shop/web:1.9`."""
    proactive: bool = False
    """Nothing is wrong yet: reported only, whatever a rule says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What the watcher knows beside the object itself. None: not known, which is never the same as none."""

    now: datetime
    endpoints: Endpoints | None = None
    """Of a Service."""
    node_ready: bool | None = None
    """Of the node a pod is bound to."""
    unschedulable_pods: int | None = None
    """Pods that wait and that a cordoned node could take: what makes it worth a word."""
    cordoned_nodes: tuple[str, ...] = ()
    """Of a pod that waits: the nodes that could take it but for their being cordoned."""
    ready_flips: tuple[datetime, ...] = ()
    """When the pod's readiness changed lately, oldest first, as seen by the watcher."""
    budgeted: bool | None = None
    """Of a workload: whether a PodDisruptionBudget selects its pods."""
    excluded_containers: frozenset[str] = field(default_factory=frozenset)
    """Containers whose state is not looked at."""
