"""The first question: is the fault still there?

Restart counts, last states and old events are evidence of the past. An object is steady when everything it asks for is
there and ready now, and no container has started so lately that the next crash may only be on its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from responder.domain.manifest import items, number, text
from responder.domain.snapshot import Snapshot
from responder.domain.workload import ContainerStatus, Pod

NEW_CONTAINER_SECONDS = 30.0
_SHORTEST = 120.0
_LONGEST = 300.0
_LONGEST_OF_A_LOOP = 900.0
_LOOP_RESTARTS = 3


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    well: bool
    """Everything is there and ready at this moment."""
    steady: bool
    """... and has been for long enough to believe it."""
    why: str


def steadiness(snapshot: Snapshot) -> Steadiness:
    missing = next(_missing(snapshot), "")
    if missing:
        return Steadiness(well=False, steady=False, why=missing)
    restless = next(_restless(snapshot), "")
    if restless:
        return Steadiness(well=True, steady=False, why=restless)
    return Steadiness(well=True, steady=True, why=_praise(snapshot))


def calm_seconds(status: ContainerStatus) -> float:
    """How long a restarted container must have run before its restart counts as the past.

    One and a half times the life of the instance before: a container that dies every four minutes proves nothing by
    living for three.
    """
    ended = status.last_terminated
    if ended is None or not status.restarts:
        return NEW_CONTAINER_SECONDS
    if ended.started_at is None or ended.finished_at is None:
        return _LONGEST
    period = 1.5 * seconds_between(ended.started_at, ended.finished_at)
    longest = _LONGEST_OF_A_LOOP if status.restarts >= _LOOP_RESTARTS else _LONGEST
    return min(max(period, _SHORTEST), longest)


def seconds_between(earlier: datetime, later: datetime) -> float:
    """Never negative: the clocks of nodes and of this process differ a little."""
    return max(0.0, (later - earlier).total_seconds())


def _missing(snapshot: Snapshot) -> Iterator[str]:
    workload = snapshot.workload
    if workload is None:
        yield from _missing_without_workload(snapshot)
        return
    if not workload.rolled_out:
        yield f"{workload.ready} of {workload.desired} replicas are ready, {workload.updated} of the current revision"
    if workload.desired == 0:
        yield "no replica is asked for"
    pods = _serving(snapshot)
    if len(pods) < workload.desired:
        yield f"{len(pods)} of {workload.desired} pods of the current revision are seen"
    for pod in pods:
        if not pod.ready:
            yield f"pod {pod.ref.name} is not ready"
        for status in pod.statuses:
            if not _runs_well(pod, status):
                yield f"container {status.name} of pod {pod.ref.name} is not well"


def _missing_without_workload(snapshot: Snapshot) -> Iterator[str]:
    kind = snapshot.root.kind
    newest = next(iter(snapshot.pods), None)
    match kind:
        case "Job":
            if not _job_complete(snapshot):
                yield "the Job has not completed"
        case "CronJob":
            if newest is None or newest.phase != "Succeeded":
                yield "the newest run has not succeeded"
        case "Pod":
            if newest is None or (newest.phase != "Succeeded" and not newest.ready):
                yield "the pod is not ready"
        case "ReplicaSet":
            yield from _missing_of_replica_set(snapshot)
        case _:
            yield f"what is well for a {kind} is not known here"


def _missing_of_replica_set(snapshot: Snapshot) -> Iterator[str]:
    """One that a custom resource controls: for the others the Deployment is the root."""
    body = snapshot.live.body if snapshot.live is not None else {}
    ready, desired = sum(pod.ready for pod in _serving(snapshot)), number(body, "spec", "replicas", default=1)
    if ready < desired or not desired:
        yield f"{ready} of {desired} pods are ready"


def _restless(snapshot: Snapshot) -> Iterator[str]:
    for pod in _serving(snapshot):
        for status in pod.statuses:
            if status.running_since is None:
                continue
            age = seconds_between(status.running_since, snapshot.taken_at)
            if age < calm_seconds(status):
                again = f" after {status.restarts} restarts" if status.restarts else ""
                yield f"container {status.name} of pod {pod.ref.name} runs for {age:.0f} s only{again}"


def _serving(snapshot: Snapshot) -> tuple[Pod, ...]:
    return tuple(pod for pod in snapshot.current_pods if pod.phase not in ("Failed", "Succeeded"))


def _runs_well(pod: Pod, status: ContainerStatus) -> bool:
    container = pod.template.container(status.name)
    if status.init and (container is None or not container.sidecar):
        return status.terminated is not None and status.terminated.exit_code == 0
    return status.running_since is not None and not status.waiting_reason


def _job_complete(snapshot: Snapshot) -> bool:
    body = snapshot.live.body if snapshot.live is not None else {}
    return any(
        text(condition, "type") == "Complete" and text(condition, "status") == "True"
        for condition in items(body, "status", "conditions")
    )


def _praise(snapshot: Snapshot) -> str:
    if snapshot.workload is None:
        return f"{snapshot.root} is well"
    restarts = sum(status.restarts for pod in _serving(snapshot) for status in pod.statuses)
    past = f"; {restarts} restarts lie in the past" if restarts else ""
    return f"all {snapshot.workload.desired} replicas are of the current revision and ready{past}"
