"""What an alert is about, and which episode it belongs to. Pure.

Alerts computed from an exporter's series (kube-state-metrics, node-exporter) may carry the exporter's own `pod`,
`container`, `instance`, `service` and `endpoint`; with `honor_labels: false` even its `namespace`, while the object's
own labels are then called `exported_...`. The object is found by a table of the well-known alerts
(https://github.com/prometheus-operator/kube-prometheus) and, for all other names, by rules over the labels. An alert
that the Kubernetes watch raised names its object outright: `kind`, `namespace`, `name`.

Whether the object exists, and who owns it, is the cluster's word (`analyzer.collect`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from responder.domain.alert import Alert, AlertSource, AlertStatus
from responder.domain.refs import CLUSTER_SCOPED, ObjectRef, is_namespace_name, is_object_name

_KIND_LABELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Deployment": ("exported_deployment", "deployment"),
        "StatefulSet": ("exported_statefulset", "statefulset"),
        "DaemonSet": ("exported_daemonset", "daemonset"),
        "Job": ("exported_job_name", "job_name"),
        "CronJob": ("exported_cronjob", "cronjob"),
        "ReplicaSet": ("exported_replicaset", "replicaset"),
        "HorizontalPodAutoscaler": ("exported_horizontalpodautoscaler", "horizontalpodautoscaler", "hpa"),
        "PersistentVolumeClaim": ("exported_persistentvolumeclaim", "persistentvolumeclaim"),
        "Node": ("exported_node", "node"),
    }
)
"""Labels that name an object of the kind, best first. `job` is not among them: it is the scrape job."""

OBJECT_LABELS = frozenset(
    {"namespace", "exported_namespace", "pod", "exported_pod", "exported_job", "container", "instance", "service"}
).union(*_KIND_LABELS.values())
"""Every label whose value may be the name of the object, or of a part of it."""

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet")
_OTHERS = ("HorizontalPodAutoscaler", "PersistentVolumeClaim")

_NO_OBJECT = ""
_ALERTS_ABOUT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "HorizontalPodAutoscaler": ("KubeHpaReplicasMismatch", "KubeHpaMaxedOut"),
        "PersistentVolumeClaim": ("KubePersistentVolumeFillingUp", "KubePersistentVolumeInodesFillingUp"),
        "Job": ("KubeJobNotCompleted", "KubeJobFailed"),
        "Node": (
            "KubeNodeNotReady",
            "KubeNodePressure",
            "KubeNodeUnreachable",
            "KubeletTooManyPods",
            "KubeNodeReadinessFlapping",
            "KubeNodeEviction",
            "KubeletPlegDurationHigh",
            "KubeletPodStartUpLatencyHigh",
            "KubeletClientCertificateExpiration",
            "KubeletServerCertificateExpiration",
            "KubeletClientCertificateRenewalErrors",
            "KubeletServerCertificateRenewalErrors",
            "KubeletInstanceUnreachable",
            "NodeNetworkInterfaceFlapping",
        ),
        _NO_OBJECT: (
            "Watchdog",
            "InfoInhibitor",
            "TargetDown",
            "KubeCPUOvercommit",
            "KubeMemoryOvercommit",
            "KubeCPUQuotaOvercommit",
            "KubeMemoryQuotaOvercommit",
            "KubeQuotaAlmostFull",
            "KubeQuotaFullyUsed",
            "KubeQuotaExceeded",
            "KubePdbNotEnoughHealthyPods",
            "KubePersistentVolumeErrors",
            "KubeVersionMismatch",
            "KubeClientErrors",
            "KubeClientCertificateExpiration",
            "KubeAPIErrorBudgetBurn",
            "KubeAPIDown",
            "KubeAPIInstanceUnreachable",
            "KubeAPITerminatedRequests",
            "KubeAggregatedAPIErrors",
            "KubeAggregatedAPIDown",
            "KubeletDown",
            "KubeSchedulerDown",
            "KubeSchedulerInstanceUnreachable",
            "KubeControllerManagerDown",
            "KubeControllerManagerInstanceUnreachable",
            "KubeStateMetricsListErrors",
            "KubeStateMetricsWatchErrors",
            "KubeStateMetricsShardingMismatch",
            "KubeStateMetricsShardsMissing",
        ),
    }
)
"""Alerts whose labels would mislead the general rules, by the one kind they are about."""
_ABOUT = MappingProxyType({name: kind for kind, names in _ALERTS_ABOUT.items() for name in names})

_POD_ALERTS = ("KubePod", "KubeContainer", "CPUThrottling", "Pod", "Container")
"""Names that begin so are about the pod they name, even where that pod is an exporter."""
_NODE_ALERTS = ("KubeNode", "Kubelet")

_EXPORTERS = (
    "kube-state-metrics",
    "node-exporter",
    "blackbox-exporter",
    "pushgateway",
    "opencost",
    "kubernetes-event-",
)
"""Programs whose series speak of other objects. Found in the scrape job's, the container's or the pod's name."""

_KIND_NAME = re.compile(r"[A-Z][A-Za-z0-9]{0,62}\Z")
_KEY_NAME_LIMIT = 200


class Fold(StrEnum):
    """What one alert does to what is known."""

    OPENS = "opens"
    JOINS = "joins"
    DUPLICATE = "duplicate"
    LATE = "late"
    """A copy from before the last word on this alert: recorded, and never itself the last word."""
    RESOLVES = "resolves"
    IGNORED = "ignored"
    """A resolve of what does not fire here: recorded as the last word, because its firing may be on the way still."""


@dataclass(frozen=True, kw_only=True)
class KnownAlert:
    """The last word on one fingerprint. What was folded as LATE is none."""

    status: AlertStatus
    starts_at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KnownEpisode:
    """What is on record for the alert's incident key."""

    open: bool
    """An incident with this key is not resolved."""
    resolved_at: datetime | None = None
    """When the last incident with this key was resolved; None where there was none, or one is open."""
    alert: KnownAlert | None = None
    """The last word on this alert's fingerprint, whether or not an incident came of it: deliveries overtake each
    other."""


def target_of(alert: Alert) -> ObjectRef | None:
    """The one object that the labels name, without uid; None where they name none, or none that can be a name."""
    labels = alert.labels
    if alert.source is AlertSource.KUBERNETES:
        return _ref(labels.get("kind", ""), labels.get("name", ""), labels) if _names_a_kind(labels) else None
    about = _ABOUT.get(alert.name)
    if about == _NO_OBJECT:
        return None
    if about is not None:
        return _named(about, labels) or (_node_of_exporter(labels) if about == "Node" else None)
    for kind in (*_WORKLOADS, *_OTHERS):
        found = _named(kind, labels)
        if found is not None:
            return found
    if _is_job_alert(alert):
        found = _ref("Job", labels.get("exported_job", ""), labels)
        if found is not None:
            return found
    if _is_node_alert(alert):
        return _named("Node", labels) or _node_of_exporter(labels)
    pod = _pod(alert)
    names_a_node = "pod" not in labels or "node" in alert.name.casefold()
    return _named("Node", labels) if pod is None and names_a_node else pod


def incident_key(root: ObjectRef | None, alert: Alert) -> str:
    """What the episode is about: never the sender, the receiver, the group or the time of delivery."""
    if root is not None:
        return root.key
    namespace = _namespace(alert.labels)
    name = alert.name or alert.fingerprint
    if len(name) > _KEY_NAME_LIMIT:
        name = f"{name[:_KEY_NAME_LIMIT]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"alert/{namespace}/{name}"


def fold(alert: Alert, known: KnownEpisode | None, *, now: datetime, grace_seconds: float) -> Fold:
    """What `alert`, received at `now`, does to the episode on record.

    Alertmanager peers repeat, reorder and delay; `startsAt` may move earlier within an episode, and the same `startsAt`
    may fire again after a resolve by timeout. So within `grace_seconds` after an end, only a start after that end is
    news; later, any firing is. The watch has no peers and tells in order: what it says is never late, although a
    condition may have begun long before it was told.
    """
    if alert.status is AlertStatus.RESOLVED:
        return _fold_resolved(alert, known)
    if known is None:
        return Fold.OPENS
    ended_at = _ended_at(known)
    may_be_late = alert.source is not AlertSource.KUBERNETES
    if may_be_late and ended_at is not None and _is_late(alert, ended_at, now=now, grace_seconds=grace_seconds):
        return Fold.LATE
    if not known.open:
        return Fold.OPENS
    repeated = known.alert is not None and known.alert.status is AlertStatus.FIRING
    if repeated and known.alert is not None and known.alert.starts_at == alert.starts_at:
        return Fold.DUPLICATE
    return Fold.JOINS


def _fold_resolved(alert: Alert, known: KnownEpisode | None) -> Fold:
    if known is None or known.alert is None:
        return Fold.IGNORED
    if known.alert.status is AlertStatus.RESOLVED:
        return Fold.DUPLICATE
    if alert.ends_at is not None and alert.ends_at < known.alert.starts_at:
        return Fold.LATE
    return Fold.RESOLVES if known.open else Fold.IGNORED


def _ended_at(known: KnownEpisode) -> datetime | None:
    """When this alert was last known to be over. In an open incident other alerts' ends say nothing about it."""
    ends = [
        known.alert.ends_at if known.alert is not None and known.alert.status is AlertStatus.RESOLVED else None,
        None if known.open else known.resolved_at,
    ]
    return max((end for end in ends if end is not None), default=None)


def _is_late(alert: Alert, ended_at: datetime, *, now: datetime, grace_seconds: float) -> bool:
    began_before_the_end = min(alert.starts_at, now) <= ended_at
    # An end that lies far ahead was noted before the clock was put back: it is no end of the time that passes now.
    return began_before_the_end and abs(now - ended_at) <= timedelta(seconds=grace_seconds)


def _names_a_kind(labels: Mapping[str, str]) -> bool:
    return _KIND_NAME.match(labels.get("kind", "")) is not None


def _named(kind: str, labels: Mapping[str, str]) -> ObjectRef | None:
    name = next((labels[label] for label in _KIND_LABELS[kind] if labels.get(label)), "")
    return _ref(kind, name, labels)


def _ref(kind: str, name: str, labels: Mapping[str, str]) -> ObjectRef | None:
    if not is_object_name(name):
        return None
    if kind in CLUSTER_SCOPED:
        return ObjectRef(kind=kind, name=name)
    namespace = _namespace(labels)
    return ObjectRef(kind=kind, namespace=namespace, name=name) if namespace else None


def _namespace(labels: Mapping[str, str]) -> str:
    """The object's namespace; '' where there is none that could exist."""
    namespace = labels.get("exported_namespace") or labels.get("namespace", "")
    return namespace if is_namespace_name(namespace) else ""


def _pod(alert: Alert) -> ObjectRef | None:
    labels = alert.labels
    if labels.get("exported_pod"):
        return _ref("Pod", labels["exported_pod"], labels)
    if labels.get("exported_namespace"):
        return None  # the series had a namespace of its own but no pod: `pod` is the exporter's
    if _pod_is_exporter(labels) and not alert.name.startswith(_POD_ALERTS):
        return None
    return _ref("Pod", labels.get("pod", ""), labels)


def _pod_is_exporter(labels: Mapping[str, str]) -> bool:
    return any(
        exporter in labels.get(label, "")
        for exporter in _EXPORTERS
        for label in ("container", "exported_container", "pod")
    )


def _is_job_alert(alert: Alert) -> bool:
    """`exported_job` is a Kubernetes Job only beside kube-state-metrics; a Pushgateway's is any batch name."""
    return "kube-state-metrics" in alert.labels.get("job", "") and "job" in alert.name.casefold()


def _is_node_alert(alert: Alert) -> bool:
    """node-exporter's series speak of the node alone: whatever pod they name is the exporter."""
    return alert.name.startswith(_NODE_ALERTS) or "node-exporter" in alert.labels.get("job", "")


def _node_of_exporter(labels: Mapping[str, str]) -> ObjectRef | None:
    """kube-prometheus relabels node-exporter's `instance` to the node's name; as `address:port` it names no node."""
    if "node-exporter" not in labels.get("job", ""):
        return None
    instance = labels.get("instance", "")
    return None if ":" in instance else _ref("Node", instance, labels)
