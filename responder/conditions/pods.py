"""What is wrong with a pod: its containers, its way to a node, its start, its end.

Decides from spec, status and whether its node is alive. Minimum ages are part of each condition and are waited for
elsewhere; the times here are those that a state must be judged by. A pod of a Job that fails is the Job's business: the
Job counts and says when it gives up.

Reasons: pkg/kubelet/lifecycle, pkg/kubelet/eviction, pkg/kubelet/nodeshutdown, pkg/kubelet/preemption,
staging/src/k8s.io/api/core/v1/types.go (pod conditions) and pkg/scheduler of Kubernetes 1.36;
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from responder.conditions.containers import NAMES as CONTAINER_NAMES
from responder.conditions.containers import (
    SETTING_UP,
    Container,
    Home,
    Role,
    condition_of,
    containers_of,
)
from responder.conditions.messages import causes_in, keys, moment, node_key
from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import sentence
from responder.domain.manifest import Manifest, controller_of, items, mapping, ref_of, strings, text
from responder.domain.refs import ObjectRef

REPLACED_SECONDS = 900.0
"""A failed pod with a controller is history so long after its end: whether its work is done, the workload tells."""

BARE_SECONDS = 86_400.0
"""Nobody replaces a failed pod without a controller; after a day nobody waits for it either."""

FLIPS = 4
FLIP_WINDOW = timedelta(minutes=10)

SETTING_UP_SECONDS = 300.0
TERMINATING_SECONDS = 300.0

REJECTIONS = frozenset(
    {
        "UnexpectedAdmissionError",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "OutOfExtendedResources",
        "NodeAffinity",
        "TopologyAffinityError",
        "SysctlForbidden",
        "AppArmor",
        "PodOSNotSupported",
        "PodOSSelectorNodeLabelDoesNotMatch",
        "SupplementalGroupsPolicyNotSupported",
        "VolumeAttachmentLimitExceeded",
        "PodLevelResourcesNotSupported",
    }
)
"""Reasons of a kubelet for not taking a pod that was bound to its node. `OutOf` is followed by any resource's name."""

FAILURES: Mapping[str, str] = {
    "Evicted": "Evicted",
    "NodeLost": "PodOnLostNode",
    "NodeShutdown": "NodeShutdown",
    "Terminated": "NodeShutdown",
    "Shutdown": "NodeShutdown",
    "DeadlineExceeded": "DeadlineExceeded",
    "Preempting": "Preempted",
    # Of the condition DisruptionTarget, where the status itself gives no reason.
    "TerminationByKubelet": "Evicted",
    "EvictionByEvictionAPI": "Evicted",
    "PreemptionByScheduler": "Preempted",
    "DeletionByTaintManager": "PodOnLostNode",
    "DeletionByPodGC": "PodOnLostNode",
    **dict.fromkeys(REJECTIONS, "PodRejected"),
}
"""Why a pod failed, in the status's words, and the name of the condition."""

_OF_THE_NODE = frozenset({"NodeShutdown", "PodOnLostNode"})
_NODE_SHORT = "The node was low on resource"
"""Of an eviction. One for going over a limit of the pod's own blames the pod."""

NAMES: Mapping[str, str] = {
    **CONTAINER_NAMES,
    "NodeShutdown": "A pod was ended because its node shut down",
    "Preempted": "A pod was ended to make room for one of higher priority",
    "PodRejected": "The node that a pod was bound to did not take it",
    "PodFailed": "A pod failed for a reason that has no condition of its own",
    "PodPending": "No scheduler has looked at a pod",
    "Unschedulable": "No node can take a pod",
    "SchedulingGated": "A pod's scheduling gates have not been lifted",
    "SchedulerError": "The scheduler failed over a pod",
    "ContainerCreatingStuck": "The containers of a pod are not created: volumes, network or kubelet",
    "PodInitializingStuck": "A pod's init containers do not come to an end",
    "ReadinessFlapping": "A pod becomes ready and unready again and again",
    "ReadinessGatesNotReady": "A readiness gate of a pod, set by something other than Kubernetes, is not true",
    "TerminatingStuck": "An object that is being deleted does not go",
    "PodOnLostNode": "The node of a pod does not answer: what the pod does is not known",
}
"""Alert name -> what it means, for every condition made here or in `containers`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pod:
    body: Manifest
    ref: ObjectRef
    node: str
    phase: str
    conditions: Mapping[str, Manifest]
    containers: tuple[Container, ...]
    controller: ObjectRef | None
    around: Surroundings

    @property
    def of_job(self) -> bool:
        return self.controller is not None and self.controller.kind == "Job"

    def transition(self, kind: str, status: str) -> datetime | None:
        """Since when the condition has this status; None where it has another one."""
        condition = self.conditions.get(kind, {})
        return moment(condition, "lastTransitionTime") if text(condition, "status") == status else None


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    """All that is wrong with the pod now."""
    pod = _read(body, around)
    if text(body, "metadata", "deletionTimestamp"):
        return tuple(_terminating(pod))
    if pod.phase == "Succeeded":
        return ()
    if pod.phase == "Failed":
        return () if pod.of_job else tuple(_failed(pod))
    of_containers = tuple(_of_containers(pod, pod.containers))
    of_pod = chain(
        _scheduling(pod, around.cordoned_nodes),
        _setting_up(pod, of_containers),
        _readiness(pod, of_containers),
        _on_lost_node(pod),
    )
    return (*of_containers, *of_pod)


def _read(body: Manifest, around: Surroundings) -> _Pod:
    return _Pod(
        body=body,
        ref=ref_of(body, kind="Pod"),
        node=text(body, "spec", "nodeName"),
        phase=text(body, "status", "phase"),
        conditions={text(condition, "type"): condition for condition in items(body, "status", "conditions")},
        containers=tuple(c for c in containers_of(body) if c.name not in around.excluded_containers),
        controller=controller_of(body),
        around=around,
    )


def _of_containers(pod: _Pod, containers: Iterable[Container]) -> Iterator[Condition]:
    home = Home(
        ref=pod.ref,
        node=pod.node,
        of_job=pod.of_job,
        unready_since=pod.transition("Ready", "False"),
        now=pod.around.now,
    )
    for container in containers:
        if (condition := condition_of(container, home)) is not None:
            yield condition


def _scheduling(pod: _Pod, cordoned: tuple[str, ...]) -> Iterator[Condition]:
    scheduled = pod.conditions.get("PodScheduled", {})
    since = pod.transition("PodScheduled", "False")
    message = text(scheduled, "message")
    match text(scheduled, "status"), text(scheduled, "reason"):
        case "False", "Unschedulable":
            causes = keys((*causes_in(message, pod.ref.namespace), *(f"Node/{name}" for name in cordoned)))
            yield Condition(
                name="Unschedulable",
                about=pod.ref,
                summary=sentence("No node can take the pod", message),
                since=since,
                age_seconds=60.0,
                causes=causes or (_claims(pod) if "unbound" in message else ()),
            )
        case "False", "SchedulingGated":
            gates = ", ".join(text(gate, "name") for gate in items(pod.body, "spec", "schedulingGates"))
            yield Condition(
                name="SchedulingGated",
                about=pod.ref,
                severity=Severity.INFO,
                summary=sentence("The pod waits for its scheduling gates to be lifted", gates),
                since=since or moment(pod.body, "metadata", "creationTimestamp"),
                age_seconds=600.0,
            )
        case "False", reason:
            yield Condition(
                name="SchedulerError",
                about=pod.ref,
                summary=sentence("The scheduler failed over the pod", reason, message),
                since=since,
                age_seconds=60.0,
            )
        case "", _ if pod.phase == "Pending" and not pod.node:
            yield Condition(
                name="PodPending",
                about=pod.ref,
                summary="No scheduler has looked at the pod: is there one, and does the pod name the right one?",
                since=moment(pod.body, "metadata", "creationTimestamp"),
                age_seconds=300.0,
            )


def _claims(pod: _Pod) -> tuple[str, ...]:
    names = (text(volume, "persistentVolumeClaim", "claimName") for volume in items(pod.body, "spec", "volumes"))
    return keys(f"PersistentVolumeClaim/{pod.ref.namespace}/{name}" for name in names if name)


def _setting_up(pod: _Pod, found: tuple[Condition, ...]) -> Iterator[Condition]:
    """The pod is on a node, and its containers do not come to their turn."""
    starting = [c for c in pod.containers if c.role is not Role.EPHEMERAL]
    waiting = {c.name: text(c.waiting, "reason") for c in starting if c.waiting is not None}
    untouched = not starting and pod.phase == "Pending" and bool(pod.node)
    creating = [name for name, reason in waiting.items() if reason == SETTING_UP[0]]
    initializing = [name for name, reason in waiting.items() if reason == SETTING_UP[1]]
    if untouched or creating:
        told = f"still to be created: {', '.join(creating)}" if creating else "no kubelet has taken it up"
        yield _stuck(pod, "ContainerCreatingStuck", told)
    elif initializing and not found and not pod.around.excluded_containers:
        running = [c.name for c in starting if c.role is Role.INIT and c.running is not None]
        told = f"init container {running[0]} runs on" if running else "no init container runs"
        yield _stuck(pod, "PodInitializingStuck", told)


def _stuck(pod: _Pod, name: str, says: str) -> Condition:
    """Counted from the last step that the pod has taken."""
    steps = [
        moment(pod.body, "status", "startTime"),
        pod.transition("PodScheduled", "True"),
        pod.transition("Initialized", "True"),
        *[moment(c.ended or c.last_end, "finishedAt") for c in pod.containers],
    ]
    since = max((step for step in steps if step is not None), default=None)
    return Condition(
        name=name,
        about=pod.ref,
        summary=sentence("The pod does not get ahead", says, f"node {pod.node}" if pod.node else ""),
        since=since,
        age_seconds=SETTING_UP_SECONDS,
    )


def _readiness(pod: _Pod, found: tuple[Condition, ...]) -> Iterator[Condition]:
    now = pod.around.now
    flips = [flip for flip in pod.around.ready_flips if now - FLIP_WINDOW <= flip <= now]
    if len(flips) >= FLIPS and not pod.of_job and all(condition.name == "ContainerNotReady" for condition in found):
        yield Condition(
            name="ReadinessFlapping",
            about=pod.ref,
            summary=f"The pod's readiness changed {len(flips)} times within {FLIP_WINDOW.seconds // 60} minutes",
            since=flips[0],
            soak_seconds=300.0,
        )
    ready = pod.conditions.get("Ready", {})
    if text(ready, "status") == "False" and text(ready, "reason") == "ReadinessGatesNotReady":
        yield Condition(
            name="ReadinessGatesNotReady",
            about=pod.ref,
            summary=sentence("The pod's containers are ready, its readiness gates are not", text(ready, "message")),
            since=pod.transition("Ready", "False"),
            age_seconds=300.0,
        )


def _on_lost_node(pod: _Pod) -> Iterator[Condition]:
    lost = pod.phase == "Unknown" or text(pod.body, "status", "reason") == "NodeLost"
    if lost or (pod.node and pod.around.node_ready is False):
        yield Condition(
            name="PodOnLostNode",
            about=pod.ref,
            summary=sentence("The pod's node does not answer or is not ready", pod.node),
            age_seconds=60.0,
            causes=keys([node_key(pod.node)]),
        )


def _terminating(pod: _Pod) -> Iterator[Condition]:
    """The server's deletionTimestamp has the grace period in it: before that time nothing is late.

    The condition is given all the same, with an age that the grace period is part of: no change of the object marks
    the time when it is late.
    """
    deadline = moment(pod.body, "metadata", "deletionTimestamp")
    if deadline is None:
        return
    finalizers = strings(pod.body, "metadata", "finalizers")
    if finalizers:
        told = f"its finalizers {', '.join(finalizers)} are not removed"
    elif pod.node:
        told = f"its node {pod.node} has not stopped it"
    else:
        told = "nothing on it tells why"
    grace = max(0.0, (deadline - pod.around.now).total_seconds())
    node_lost = pod.around.node_ready is False and not finalizers
    yield Condition(
        name="TerminatingStuck",
        about=pod.ref,
        summary=sentence(f"The pod should have gone by {deadline:%Y-%m-%d %H:%M:%S} UTC", told),
        since=deadline,
        age_seconds=grace + TERMINATING_SECONDS,
        causes=keys([node_key(pod.node) if node_lost else ""]),
    )


def _failed(pod: _Pod) -> Iterator[Condition]:
    """A failed pod stays around as its own record: it counts for a while only."""
    finished = _finished(pod)
    counts_for = REPLACED_SECONDS if pod.controller is not None else BARE_SECONDS
    if finished is not None and (pod.around.now - finished).total_seconds() > counts_for:
        return
    reason = text(pod.body, "status", "reason") or text(_disruption(pod), "reason")
    ended = [container for container in pod.containers if container.ended is not None]
    if not reason and (of_containers := tuple(_of_containers(pod, ended))):
        yield from of_containers
        return
    name = "PodRejected" if reason.startswith("OutOf") else FAILURES.get(reason, "PodFailed")
    message = text(pod.body, "status", "message") or text(_disruption(pod), "message")
    by_node = name in _OF_THE_NODE or (name == "Evicted" and _NODE_SHORT in message)
    yield Condition(
        name=name,
        about=pod.ref,
        summary=sentence("The pod failed", reason or "no reason given", message),
        since=finished,
        causes=keys([node_key(pod.node) if by_node else ""]),
    )


def _disruption(pod: _Pod) -> Manifest:
    """The condition that tells who ended the pod; empty where nobody did."""
    condition = mapping(pod.conditions, "DisruptionTarget")
    return condition if text(condition, "status") == "True" else {}


def _finished(pod: _Pod) -> datetime | None:
    times = [
        *[moment(c.ended, "finishedAt") for c in pod.containers if c.ended is not None],
        pod.transition("DisruptionTarget", "True"),
        pod.transition("Ready", "False"),
    ]
    known = [time for time in times if time is not None]
    if known:
        return max(known)
    return moment(pod.body, "status", "startTime") or moment(pod.body, "metadata", "creationTimestamp")
