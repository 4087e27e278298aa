"""Events that tell of trouble which no status shows.

Decides which reasons count, under which name, and for how long. Events whose object says the same in its status
(BackOff, Failed, FailedScheduling, Unhealthy, Evicted, a Job's failure, an autoscaler's metrics) are evidence for an
investigation and no condition. An event says when something happened and never that it is over, so it counts for a
while only.

Reasons: pkg/kubelet/events/event.go, pkg/controller/controller_utils.go, pkg/controller/volume/events/event.go, the
recorders of pkg/controller/{statefulset,daemon,deployment,job,cronjob,disruption,tainteviction,nodeipam} and
pkg/scheduler/framework/preemption/executor.go of Kubernetes 1.36. Forms: core/v1 (`involvedObject`, `firstTimestamp`,
`lastTimestamp`, `count`) and events.k8s.io/v1 (`regarding`, `eventTime`, `series`), whose events carry null where the
older form has its times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from responder.conditions.messages import keys, moment, node_key
from responder.conditions.model import Condition, Severity
from responder.conditions.refusals import causes_of_refusal
from responder.conditions.statusconditions import sentence
from responder.domain.manifest import Manifest, mapping, text
from responder.domain.refs import ObjectRef

EVENT_SECONDS = 600.0
"""An event counts so long after its last occurrence: a kubelet that repeats itself is held to one in five minutes."""

# Anybody may write events: what cannot be a container's name becomes no label.
_CONTAINER = re.compile(
    r"spec\.(?:initContainers|containers|ephemeralContainers)\{([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\}\Z"
)


class EventType(StrEnum):
    WARNING = "Warning"
    NORMAL = "Normal"
    ANY = "any"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """How events with one reason become a condition."""

    name: str
    description: str
    kinds: frozenset[str]
    """Of the object that the event is about. Reasons are not unique: they mean something for these kinds only."""
    type: EventType = EventType.WARNING
    severity: Severity = Severity.WARNING
    lasting_seconds: float = 0.0
    """From first to last occurrence, for what is tried again: once may have been too early by a second."""
    blames_node: bool = False
    """The node that reports it is the cause."""
    unless: str = ""
    """A word of the message that means the opposite."""


def _trigger(
    name: str,
    description: str,
    *kinds: str,
    of_type: EventType = EventType.WARNING,
    severity: Severity = Severity.WARNING,
    lasting_seconds: float = 0.0,
    blames_node: bool = False,
    unless: str = "",
) -> Trigger:
    return Trigger(
        name=name,
        description=description,
        kinds=frozenset(kinds),
        type=of_type,
        severity=severity,
        lasting_seconds=lasting_seconds,
        blames_node=blames_node,
        unless=unless,
    )


_CLAIM = "PersistentVolumeClaim"
_BUDGET = "PodDisruptionBudget"
_VOLUMES = ("PersistentVolume", _CLAIM)
_MAKERS_OF_PODS = ("ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "CronJob", "Deployment")

_OF_PODS: Mapping[str, Trigger] = {
    "FailedMount": _trigger("FailedMount", "A volume of a pod cannot be mounted", "Pod", lasting_seconds=45.0),
    "FailedAttachVolume": _trigger(
        "FailedAttachVolume", "A volume cannot be attached to the node of a pod", "Pod", lasting_seconds=45.0
    ),
    "FailedMapVolume": _trigger(
        "FailedMapVolume", "A block volume of a pod cannot be mapped", "Pod", lasting_seconds=45.0
    ),
    "FailedCreatePodSandBox": _trigger(
        "FailedCreatePodSandBox",
        "A node cannot set up the sandbox of a pod: network plugin or container runtime",
        "Pod",
        lasting_seconds=30.0,
        blames_node=True,
    ),
    "NetworkNotReady": _trigger(
        "NetworkNotReady", "The network of a pod's node is not ready", "Pod", lasting_seconds=60.0, blames_node=True
    ),
    "FailedPostStartHook": _trigger("PostStartHookError", "A container's postStart hook failed", "Pod"),
    "FailedPreStopHook": _trigger(
        "FailedPreStopHook", "A container's preStop hook failed", "Pod", severity=Severity.INFO
    ),
    "FailedToRetrieveImagePullSecret": _trigger(
        "ImagePullSecretMissing",
        "A pod names an image pull secret that is not there; the image may be had without it",
        "Pod",
        severity=Severity.INFO,
    ),
    "FailedSync": _trigger(
        "FailedSync", "A node fails over a pod", "Pod", severity=Severity.INFO, lasting_seconds=120.0
    ),
    "FailedKillPod": _trigger(
        "FailedKillPod", "A node cannot stop a pod", "Pod", lasting_seconds=60.0, blames_node=True
    ),
    "VolumeConditionAbnormal": _trigger("VolumeConditionAbnormal", "A volume of a pod is reported unhealthy", "Pod"),
    "Preempted": _trigger(
        "Preempted",
        "A pod was ended to make room for one of higher priority",
        "Pod",
        of_type=EventType.NORMAL,
        severity=Severity.INFO,
    ),
    "TaintManagerEviction": _trigger(
        "TaintManagerEviction",
        "A pod is deleted because of a taint of its node that it does not tolerate",
        "Pod",
        of_type=EventType.NORMAL,
        unless="Cancelling",
    ),
    "MultiplePodDisruptionBudgets": _trigger(
        "MultiplePodDisruptionBudgets",
        "Several PodDisruptionBudgets select one pod, so that it cannot be evicted at all",
        "Pod",
        of_type=EventType.ANY,
    ),
}

_OF_WORKLOADS: Mapping[str, Trigger] = {
    "FailedCreate": _trigger(
        "ReplicaFailure",
        "Pods of a workload are refused: quota, admission, Pod Security, missing service account",
        *_MAKERS_OF_PODS,
        lasting_seconds=5.0,
    ),
    "FailedDelete": _trigger(
        "FailedDelete", "A controller cannot delete what it owns", *_MAKERS_OF_PODS, lasting_seconds=60.0
    ),
    "FailedUpdate": _trigger(
        "FailedUpdate", "A StatefulSet's pod cannot be updated", "StatefulSet", lasting_seconds=60.0
    ),
    "FailedDaemonPod": _trigger("FailedDaemonPod", "A DaemonSet's pod failed and is replaced", "DaemonSet"),
    "ConflictingController": _trigger(
        "ConflictingController", "Two controllers claim the same pods", "StatefulSet", "DaemonSet", "ReplicaSet"
    ),
    "ReplicaSetCreateError": _trigger(
        "ReplicaSetCreateError", "A Deployment's ReplicaSet could not be created", "Deployment"
    ),
    "SelectingAll": _trigger(
        "SelectingAll", "A workload's selector is empty and would select every pod", "Deployment", "DaemonSet"
    ),
    "TooManySucceededPods": _trigger(
        "TooManySucceededPods", "More pods of a Job succeeded than it asks for", "Job", severity=Severity.INFO
    ),
    "UnknownCompletionMode": _trigger(
        "UnknownCompletionMode", "A Job's completion mode is not known to its controller", "Job"
    ),
    "TooManyMissedTimes": _trigger(
        "TooManyMissedTimes", "A CronJob missed so many start times that it is not started any more", "CronJob"
    ),
    "MissSchedule": _trigger("MissSchedule", "A CronJob's run was not started in time", "CronJob"),
    "UnparseableSchedule": _trigger("InvalidSchedule", "A CronJob's schedule cannot be read", "CronJob"),
    "InvalidSchedule": _trigger("InvalidSchedule", "A CronJob's schedule cannot be read", "CronJob"),
    "UnknownTimeZone": _trigger("UnknownTimeZone", "A CronJob's time zone is not known", "CronJob"),
    "UnexpectedJob": _trigger(
        "UnexpectedJob", "A CronJob owns a Job that it did not start", "CronJob", severity=Severity.INFO
    ),
    "FailedGet": _trigger(
        "CronJobFailedGet", "A CronJob's running Job cannot be read", "CronJob", lasting_seconds=60.0
    ),
    "JobAlreadyActive": _trigger(
        "JobAlreadyActive",
        "A CronJob's run was left out because the one before it still runs",
        "CronJob",
        of_type=EventType.NORMAL,
        severity=Severity.INFO,
    ),
    "NoPods": _trigger(
        "BudgetSelectsNothing",
        "A PodDisruptionBudget selects no pod",
        _BUDGET,
        of_type=EventType.ANY,
        severity=Severity.INFO,
        lasting_seconds=300.0,
    ),
    "CalculateExpectedPodCountFailed": _trigger(
        "BudgetSyncFailed",
        "The state of a PodDisruptionBudget cannot be worked out, so it allows no disruption",
        _BUDGET,
        of_type=EventType.ANY,
        lasting_seconds=60.0,
    ),
    "UnmanagedPods": _trigger(
        "UnmanagedPods",
        "A PodDisruptionBudget selects pods without a controller, which it cannot count",
        _BUDGET,
        of_type=EventType.ANY,
        severity=Severity.INFO,
    ),
}

# Left out: RegisteredNode, RemovingNode and DeletingAllPods, the everyday life of a cluster that scales; NodeNotReady,
# which the node's status tells.
_OF_NODES: Mapping[str, Trigger] = {
    "SystemOOM": _trigger("SystemOOM", "A node ran out of memory and the kernel killed a process", "Node"),
    "EvictionThresholdMet": _trigger("EvictionThresholdMet", "A node is about to evict pods", "Node"),
    "FreeDiskSpaceFailed": _trigger("FreeDiskSpaceFailed", "A node cannot free enough disk space", "Node"),
    "ImageGCFailed": _trigger("ImageGCFailed", "A node cannot remove unused images", "Node", lasting_seconds=60.0),
    "ContainerGCFailed": _trigger(
        "ContainerGCFailed", "A node cannot remove dead containers", "Node", lasting_seconds=60.0
    ),
    # Said once by most kubelets when they start, before the runtime has looked at its disks.
    "InvalidDiskCapacity": _trigger(
        "InvalidDiskCapacity",
        "A node cannot tell how large its image disk is",
        "Node",
        severity=Severity.INFO,
        lasting_seconds=120.0,
    ),
    "KubeletSetupFailed": _trigger("KubeletSetupFailed", "A kubelet could not be set up", "Node"),
    "FailedNodeAllocatableEnforcement": _trigger(
        "FailedNodeAllocatableEnforcement", "A node cannot hold its pods to what they may use", "Node"
    ),
    "Rebooted": _trigger("NodeRebooted", "A node was rebooted", "Node"),
    "CIDRNotAvailable": _trigger(
        "CIDRNotAvailable", "No address range for pods is left for a node", "Node", of_type=EventType.ANY
    ),
    "CIDRAssignmentFailed": _trigger(
        "CIDRAssignmentFailed", "A node could not be given an address range for pods", "Node", of_type=EventType.ANY
    ),
}

_OF_STORAGE: Mapping[str, Trigger] = {
    "ProvisioningFailed": _trigger(
        "ProvisioningFailed", "No volume could be made for a claim", _CLAIM, lasting_seconds=10.0
    ),
    "FailedBinding": _trigger(
        "FailedBinding",
        "A claim cannot be bound to a volume",
        _CLAIM,
        of_type=EventType.ANY,
        lasting_seconds=60.0,
    ),
    "VolumeMismatch": _trigger("VolumeMismatch", "A claim names a volume that does not fit it", _CLAIM),
    "VolumeFailedDelete": _trigger("VolumeFailedDelete", "A released volume cannot be deleted", *_VOLUMES),
    "VolumeFailedRecycle": _trigger("VolumeFailedRecycle", "A released volume cannot be recycled", *_VOLUMES),
    "ProvisioningCleanupFailed": _trigger(
        "ProvisioningCleanupFailed", "A volume that was made for a claim and not needed could not be removed", *_VOLUMES
    ),
}

TRIGGERS: Mapping[str, Trigger] = {**_OF_PODS, **_OF_WORKLOADS, **_OF_NODES, **_OF_STORAGE}
"""Reason -> what it triggers."""

SHARED_NAMES = frozenset(
    {
        "FailedCreatePodSandBox",
        "FailedKillPod",
        "PostStartHookError",
        "Preempted",
        "ReplicaFailure",
        "ReplicaSetCreateError",
        "BudgetSelectsNothing",
        "BudgetSyncFailed",
    }
)
"""Names that a status may show as well: one alert, whichever tells first."""

NAMES: Mapping[str, str] = {
    trigger.name: trigger.description for trigger in TRIGGERS.values() if trigger.name not in SHARED_NAMES
}


def condition_of_event(body: Manifest, now: datetime) -> Condition | None:
    """What the event triggers; None for evidence, for another type or kind, and for one that is too old to count."""
    trigger = TRIGGERS.get(text(body, "reason"))
    about = _about(body)
    message = text(body, "message") or text(body, "note")
    if trigger is None or about is None or about.kind not in trigger.kinds or not _is_meant(trigger, body, message):
        return None
    occurred = _counted(body, now)
    if occurred is None:
        return None
    began = min(_began(body) or occurred, occurred)
    lasted = (occurred - began).total_seconds()
    if lasted < trigger.lasting_seconds:
        return None
    found = _CONTAINER.search(_regarding_text(body, "fieldPath"))
    return Condition(
        name=trigger.name,
        about=about,
        container=found[1] if found else "",
        severity=trigger.severity,
        summary=sentence(trigger.description, message),
        # Occurrences that lie far apart are one event to the server, and several to people.
        since=began if lasted <= EVENT_SECONDS else occurred,
        causes=keys(_causes(trigger, about, body, message)),
    )


def occurred_at(body: Manifest) -> datetime | None:
    """When the event happened last, as its reporter says; when it was written where it does not say."""
    told = (
        moment(body, "lastTimestamp"),
        moment(body, "series", "lastObservedTime"),
        moment(body, "deprecatedLastTimestamp"),
        moment(body, "eventTime"),
        moment(body, "firstTimestamp"),
        moment(body, "deprecatedFirstTimestamp"),
    )
    known = [time for time in told if time is not None]
    return max(known) if known else moment(body, "metadata", "creationTimestamp")


def _began(body: Manifest) -> datetime | None:
    told = (
        moment(body, "firstTimestamp"),
        moment(body, "deprecatedFirstTimestamp"),
        moment(body, "eventTime"),
    )
    return min((time for time in told if time is not None), default=None)


def _counted(body: Manifest, now: datetime) -> datetime | None:
    """The last occurrence, if it still counts. A reporter whose clock is ahead is not believed."""
    occurred = occurred_at(body)
    if occurred is not None and (occurred - now).total_seconds() > EVENT_SECONDS:
        occurred = moment(body, "metadata", "creationTimestamp")
    if occurred is None or abs((now - occurred).total_seconds()) > EVENT_SECONDS:
        return None
    return occurred


def _is_meant(trigger: Trigger, body: Manifest, message: str) -> bool:
    if trigger.unless and trigger.unless in message:
        return False
    return trigger.type is EventType.ANY or text(body, "type") == trigger.type


def _about(body: Manifest) -> ObjectRef | None:
    kind, name = _regarding_text(body, "kind"), _regarding_text(body, "name")
    if not kind or not name:
        return None
    uid = _regarding_text(body, "uid")
    return ObjectRef(
        kind=kind,
        namespace=_regarding_text(body, "namespace"),
        name=name,
        # A kubelet that writes about its own node gives the node's name for a uid.
        uid="" if kind == "Node" and uid == name else uid,
    )


def _regarding_text(body: Manifest, key: str) -> str:
    return text(mapping(body, "involvedObject") or mapping(body, "regarding"), key)


def _causes(trigger: Trigger, about: ObjectRef, body: Manifest, message: str) -> Iterable[str]:
    yield from causes_of_refusal(message, about.namespace)
    if about.kind in ("Node", *_VOLUMES):
        yield about.key
    if trigger.blames_node:
        yield node_key(_host(body))


def _host(body: Manifest) -> str:
    """The node whose kubelet reports the event; '' where another component does."""
    if text(body, "reportingComponent") in ("", "kubelet"):
        return text(body, "source", "host") or text(body, "deprecatedSource", "host") or text(body, "reportingInstance")
    return ""
