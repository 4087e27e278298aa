"""Pods that no node takes, or that a node cannot set up: told, never mended here.

The scheduler's sentence counts the nodes per reason; the kubelet's events tell of sandbox, volume and network.
Capacity, taints, claims and nodes are not the workload's to change, so the exact words go to a human.
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.analyzer.heuristics.case import Case, Claim, Stage, Step
from responder.analyzer.heuristics.evidence import of_event, of_pod
from responder.domain.snapshot import Snapshot
from responder.domain.workload import Condition, EventRecord, Pod
from responder.patterns import Pattern
from responder.redact import redact

_LONGEST_QUOTE = 300

_UNSCHEDULABLE: tuple[tuple[str, str, Pattern, tuple[str, ...]], ...] = (
    (
        "scheduling.claim",
        "a volume claim that it needs is missing or unbound",
        Pattern(
            r"(?i)persistentvolumeclaim|unbound immediate|volume node affinity conflict|"
            r"didn't find available persistent"
        ),
        ("volumes",),
    ),
    (
        "scheduling.insufficient_resources",
        "no node has what it asks for left",
        Pattern(r"(?i)Insufficient [\w./\-]+|Too many pods|exceed max volume count"),
        ("containers", "initContainers", "resources"),
    ),
    (
        "scheduling.node_selector",
        "its node selector or affinity fits no node",
        Pattern(
            r"(?i)didn't match (?:Pod's )?node (?:affinity|selector)|node\(s\) didn't match|"
            r"affinity rules|topology spread"
        ),
        ("nodeSelector", "affinity", "topologySpreadConstraints", "nodeName"),
    ),
    (
        "scheduling.taints",
        "the nodes have taints that it does not tolerate",
        Pattern(r"(?i)untolerated taint|had taint|were unschedulable"),
        ("tolerations", "nodeSelector"),
    ),
)

_ON_THE_NODE: tuple[tuple[str, tuple[str, ...], str, Stage], ...] = (
    (
        "node.sandbox",
        ("FailedCreatePodSandBox", "NetworkNotReady"),
        "the node cannot set up its network or sandbox",
        Stage.SANDBOX,
    ),
    ("volume.attach", ("FailedAttachVolume",), "a volume cannot be attached to the node", Stage.VOLUMES),
    ("volume.mount", ("FailedMount", "FailedMapVolume"), "a volume cannot be mounted", Stage.VOLUMES),
)

_GONE_REASONS = frozenset(
    {"Evicted", "NodeLost", "NodeShutdown", "Preempting", "UnexpectedAdmissionError", "NodeAffinity"}
)


def detect(case: Case) -> Iterator[Claim]:
    for pod in case.pods:
        condition = _unschedulable(pod)
        if condition is not None:
            yield _not_scheduled(case, pod, condition)
        elif pod.phase == "Pending" and pod.node and not _containers_began(pod):
            yield from _not_set_up(case, pod)
        elif not pod.ready and pod.statuses and all(status.ready for status in pod.statuses):
            yield from _lost_with_its_node(case, pod)
    yield from _removed(case.snapshot, case)


def _unschedulable(pod: Pod) -> Condition | None:
    return next(
        (
            condition
            for condition in pod.conditions
            if condition.type == "PodScheduled" and condition.status == "False" and not pod.node
        ),
        None,
    )


def _not_scheduled(case: Case, pod: Pod, condition: Condition) -> Claim:
    events = case.events_of(pod, "FailedScheduling")[:1]
    words = condition.message or (events[0].message if events else "")
    signature, what, fields = next(
        ((signature, what, fields) for signature, what, pattern, fields in _UNSCHEDULABLE if pattern.found(words)),
        ("scheduling.unschedulable", "the scheduler finds no node for it", ("nodeSelector", "affinity", "tolerations")),
    )
    before = case.ready_before
    return Claim(
        signature=signature,
        stage=Stage.SCHEDULING,
        step=Step.PULL,
        subject=case.root,
        cause=f"pod {pod.ref.name} is not scheduled: {what}: {_quoted(words)}",
        confidence=0.9,
        exhibits=(of_pod(pod), *map(of_event, events)),
        undo=before is not None and case.changed_since(before, *fields),
    )


def _lost_with_its_node(case: Case, pod: Pod) -> Iterator[Claim]:
    """All containers were ready when the node last told; since then the pod is not."""
    events = case.events_of(pod, "NodeNotReady")
    if events:
        yield Claim(
            signature="node.not_ready",
            stage=Stage.SANDBOX,
            subject=pod.ref,
            cause=f"pod {pod.ref.name} is not ready because node {pod.node} is not",
            confidence=0.85,
            exhibits=(of_pod(pod), *map(of_event, events[:1])),
            undo=False,
        )


def _containers_began(pod: Pod) -> bool:
    return any(
        status.running_since is not None
        or status.terminated is not None
        or status.waiting_reason not in ("", "ContainerCreating", "PodInitializing")
        for status in pod.statuses
    )


def _not_set_up(case: Case, pod: Pod) -> Iterator[Claim]:
    for signature, reasons, what, stage in _ON_THE_NODE:
        events = case.events_of(pod, *reasons)
        if events:
            yield Claim(
                signature=signature,
                stage=stage,
                subject=pod.ref,
                cause=f"pod {pod.ref.name} does not start: {what}: {_quoted(events[0].message)}",
                confidence=0.75,
                exhibits=(of_pod(pod), *map(of_event, events[:2])),
                undo=False,
                general=True,
            )


def _removed(snapshot: Snapshot, case: Case) -> Iterator[Claim]:
    """Pods that the cluster took away; only while others are missing, because ended pods are kept as a record."""
    workload = snapshot.workload
    if workload is not None and len([pod for pod in case.pods if pod.ready]) >= workload.desired:
        return
    for pod in snapshot.current_pods:
        if pod.phase == "Failed" and pod.reason in _GONE_REASONS:
            yield Claim(
                signature="node.evicted",
                stage=Stage.ROLLOUT,
                subject=pod.ref,
                cause=f"pod {pod.ref.name} was taken away ({pod.reason}): {_quoted(pod.message)}",
                confidence=0.7,
                exhibits=(of_pod(pod),),
                undo=False,
            )
    for event in _preemptions(case):
        yield Claim(
            signature="scheduling.preempted",
            stage=Stage.ROLLOUT,
            subject=event.subject,
            cause=f"pod {event.subject.name} gave way to one of higher priority: {_quoted(event.message)}",
            confidence=0.7,
            exhibits=(of_event(event),),
            undo=False,
        )


def _preemptions(case: Case) -> tuple[EventRecord, ...]:
    return case.recent_events("Preempted", "TaintManagerEviction")[:2]


def _quoted(text: str) -> str:
    line = " ".join(redact(text).split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}..."
