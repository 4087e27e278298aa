"""What Deployments, StatefulSets, DaemonSets and ReplicaSets say about themselves.

Pods tell why they fail; here is what only the owner knows: that no pod came into being, that fewer are there than
wanted, that a rollout stands still. A pure function cannot see progress between two looks, so a rollout without a
deadline of its own counts as stuck only after a long time.

A Deployment copies `ReplicaFailure` from its ReplicaSets. Both say it; the watcher finds that they are one workload.
Fields: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.refusals import causes_of_refusal
from responder.conditions.statusconditions import (
    StatusCondition,
    is_deleted,
    is_observed,
    sentence,
    status_condition,
)
from responder.domain.manifest import Manifest, controller_of, flag, number, ref_of, text

NAMES: Mapping[str, str] = {
    "ChangeNotObserved": "No controller has taken note of a workload's newest specification",
    "DeploymentNotProgressing": "A Deployment's rollout made no progress within its deadline",
    "PodsMisscheduled": "A DaemonSet's pods run on nodes where they should not",
    "ReplicaFailure": "Pods of a workload are refused: quota, admission, Pod Security, missing service account",
    "ReplicaSetCreateError": "A Deployment's ReplicaSet could not be created",
    "ReplicasUnavailable": "Fewer pods of a workload are ready than wanted, and no rollout is going on",
    "RolloutPaused": "A Deployment is paused in the middle of a rollout",
    "RolloutStuck": "A StatefulSet's or DaemonSet's update stands still with pods that are not ready",
}

UNOBSERVED_SECONDS = 300.0
REFUSED_SECONDS = 30.0
UNAVAILABLE_SECONDS = 600.0
STUCK_SECONDS = 1800.0
PAUSED_SECONDS = 3600.0
MISSCHEDULED_SECONDS = 900.0

_ROLLING = frozenset({"NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated", "DeploymentResumed"})


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    """Nothing of a workload that is being deleted."""
    if is_deleted(body):
        return ()
    match text(body, "kind"):
        case "Deployment":
            return tuple(_if_observed(body, _deployment(body)))
        case "StatefulSet":
            return tuple(_if_observed(body, _stateful_set(body)))
        case "DaemonSet":
            return tuple(_if_observed(body, _daemon_set(body)))
        case "ReplicaSet":
            return tuple(_replica_set(body))
        case _:
            return ()


def _if_observed(body: Manifest, found: Iterator[Condition]) -> Iterator[Condition]:
    if is_observed(body):
        yield from found
        return
    yield Condition(
        name="ChangeNotObserved",
        about=ref_of(body),
        summary=f"{_title(body)} was changed, and no controller has taken note of it",
        age_seconds=UNOBSERVED_SECONDS,
    )


def _deployment(body: Manifest) -> Iterator[Condition]:
    progressing = status_condition(body, "Progressing")
    yield from _not_progressing(body, progressing)
    yield from _refused(body)
    if flag(body, "spec", "paused"):
        yield from _paused(body, progressing)
    if not progressing.denied and not _rolls(body, progressing):
        yield from _unavailable(body, number(body, "status", "readyReplicas"), _wanted(body))


def _not_progressing(body: Manifest, progressing: StatusCondition) -> Iterator[Condition]:
    if not progressing.denied:
        return
    refused = progressing.reason == "ReplicaSetCreateError"
    fact = "could not create its ReplicaSet" if refused else "made no progress within its deadline"
    yield Condition(
        name="ReplicaSetCreateError" if refused else "DeploymentNotProgressing",
        about=ref_of(body),
        summary=sentence(f"{_title(body)} {fact}", progressing.words),
        since=progressing.since,
        age_seconds=REFUSED_SECONDS if refused else 0.0,
        causes=causes_of_refusal(progressing.message, text(body, "metadata", "namespace")) if refused else (),
    )


def _paused(body: Manifest, progressing: StatusCondition) -> Iterator[Condition]:
    updated, wanted = number(body, "status", "updatedReplicas"), _wanted(body)
    if updated >= wanted:
        return
    yield Condition(
        name="RolloutPaused",
        about=ref_of(body),
        severity=Severity.INFO,
        summary=f"{_title(body)} is paused with {updated} of {wanted} replicas updated",
        since=progressing.since if progressing.reason == "DeploymentPaused" else None,
        age_seconds=PAUSED_SECONDS,
    )


def _rolls(body: Manifest, progressing: StatusCondition) -> bool:
    """True while a rollout is on its way, which its deadline watches over.

    Without a deadline there is no Progressing condition; then only an Available that is denied speaks against it.
    """
    if progressing.status:
        return progressing.reason in _ROLLING
    unfinished = number(body, "status", "updatedReplicas") < _wanted(body)
    return unfinished and not status_condition(body, "Available").denied


def _stateful_set(body: Manifest) -> Iterator[Condition]:
    revisions = text(body, "status", "currentRevision"), text(body, "status", "updateRevision")
    # With a partition the two revisions differ for as long as somebody wants them to.
    due = _wanted(body) - number(body, "spec", "updateStrategy", "rollingUpdate", "partition")
    updates = (
        all(revisions)
        and revisions[0] != revisions[1]
        and text(body, "spec", "updateStrategy", "type") != "OnDelete"
        and number(body, "status", "updatedReplicas") < due
    )
    yield from _unavailable(body, number(body, "status", "readyReplicas"), _wanted(body), updates=updates)


def _daemon_set(body: Manifest) -> Iterator[Condition]:
    wanted = number(body, "status", "desiredNumberScheduled")
    updates = (
        number(body, "status", "updatedNumberScheduled") < wanted
        and text(body, "spec", "updateStrategy", "type") != "OnDelete"
    )
    yield from _unavailable(body, number(body, "status", "numberReady"), wanted, updates=updates)
    misplaced = number(body, "status", "numberMisscheduled")
    if misplaced > 0:
        yield Condition(
            name="PodsMisscheduled",
            about=ref_of(body),
            severity=Severity.INFO,
            summary=f"Pods of {_title(body)} run on nodes where they should not ({misplaced})",
            age_seconds=MISSCHEDULED_SECONDS,
        )


def _replica_set(body: Manifest) -> Iterator[Condition]:
    yield from _refused(body)
    # What a Deployment owns is a matter of the rollout, and the Deployment tells of it.
    if controller_of(body) is None and is_observed(body):
        yield from _unavailable(body, number(body, "status", "readyReplicas"), _wanted(body))


def _refused(body: Manifest) -> Iterator[Condition]:
    failure = status_condition(body, "ReplicaFailure")
    if not failure.holds:
        return
    verb = "delete" if failure.reason == "FailedDelete" else "create"
    yield Condition(
        name="ReplicaFailure",
        about=ref_of(body),
        summary=sentence(f"{_title(body)} cannot {verb} its pods", failure.words),
        since=failure.since,
        age_seconds=REFUSED_SECONDS,
        causes=causes_of_refusal(failure.message, text(body, "metadata", "namespace")),
    )


def _unavailable(body: Manifest, ready: int, wanted: int, *, updates: bool = False) -> Iterator[Condition]:
    available = status_condition(body, "Available")
    if wanted <= 0 or (ready >= wanted and not available.denied):
        return
    place = " in the middle of an update" if updates else ""
    yield Condition(
        name="RolloutStuck" if updates else "ReplicasUnavailable",
        about=ref_of(body),
        summary=sentence(f"{_title(body)} has {ready} of {wanted} replicas ready{place}", _said(available)),
        since=available.since if available.denied else None,
        age_seconds=STUCK_SECONDS if updates else UNAVAILABLE_SECONDS,
    )


def _said(available: StatusCondition) -> str:
    return available.words if available.denied else ""


def _wanted(body: Manifest) -> int:
    return number(body, "spec", "replicas", default=1)


def _title(body: Manifest) -> str:
    return f"{text(body, 'kind')} {text(body, 'metadata', 'name')}"
