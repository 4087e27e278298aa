"""The rollout history of a workload: ReplicaSets of a Deployment, ControllerRevisions of the others.

Which revision is the current one is said differently by each: a Deployment's is the ReplicaSet whose template equals
its own, a StatefulSet names it in its status, a DaemonSet's is the one with the highest number.
FindNewReplicaSet in
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/deployment/util/deployment_util.go
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from responder.domain.manifest import (
    Json,
    LiveObject,
    dig,
    instant,
    mapping,
    number,
    text,
)
from responder.domain.workload import EventRecord, Pod, Revision, parse_template

_REVISION = "deployment.kubernetes.io/revision"
_TEMPLATE_HASH = "pod-template-hash"
_STOPPED = "Stopping container"
"""The kubelet's words for a container of a pod that is deleted; one that fails a probe it stops with others."""
_COMPLAINTS = frozenset({"BackOff", "Unhealthy", "Failed"})
_LONG_ENOUGH_SECONDS = 30.0
_HASH_LABELS = ("controller-revision-hash", "controller.kubernetes.io/hash")


def revisions_of(live: LiveObject, history: Iterable[LiveObject], pods: tuple[Pod, ...]) -> tuple[Revision, ...]:
    """Newest first."""
    entries = sorted(history, key=_number, reverse=True)
    current = _current(live, entries)
    return tuple(_revision(live, entry, pods, current=entry.ref == current) for entry in entries)


def with_service(revisions: Iterable[Revision], events: Iterable[EventRecord]) -> tuple[Revision, ...]:
    """Adds when the pods of a ReplicaSet that has none now last served, as the events of those pods tell.

    A program that runs for a moment before it crashes is ready for that moment, which is enough for a rollout to
    replace every good pod. What remains of those are the kubelet's events, for about an hour. Pods of a StatefulSet
    have the same names in every revision, so theirs tell nothing.
    """
    told: dict[str, list[EventRecord]] = {}
    for event in events:
        if event.subject.kind == "Pod":
            told.setdefault(event.subject.name, []).append(event)
    return tuple(
        replace(revision, served_until=_served_until(revision.ref.name, told))
        if revision.ref.kind == "ReplicaSet" and not revision.current and not revision.ready
        else revision
        for revision in revisions
    )


def _served_until(replica_set: str, told: dict[str, list[EventRecord]]) -> datetime | None:
    ends = [_ended_well(events) for pod, events in told.items() if pod.rpartition("-")[0] == replica_set]
    return max((end for end in ends if end is not None), default=None)


def _ended_well(events: list[EventRecord]) -> datetime | None:
    """When a pod was stopped that had run for long enough, without a restart and without a complaint."""
    if any(event.reason in _COMPLAINTS or (event.reason == "Started" and event.count > 1) for event in events):
        return None
    stops = [e.last_at for e in events if e.reason == "Killing" and e.message.startswith(_STOPPED) and e.last_at]
    starts = [e.first_at for e in events if e.reason == "Started" and e.first_at]
    if not stops or (starts and (min(stops) - max(starts)).total_seconds() < _LONG_ENOUGH_SECONDS):
        return None
    return max(stops)


def _number(entry: LiveObject) -> int:
    if entry.ref.kind == "ReplicaSet":
        written = entry.annotations.get(_REVISION, "")
        return int(written) if written.isascii() and written.isdigit() else 0
    return number(entry.body, "revision")


def _current(live: LiveObject, entries: list[LiveObject]) -> object:
    match live.ref.kind:
        case "Deployment":
            wanted = _without_hash(dig(live.body, "spec", "template"))
            same = (entry.ref for entry in entries if _without_hash(dig(entry.body, "spec", "template")) == wanted)
            return next(same, None)
        case "StatefulSet":
            named = text(live.body, "status", "updateRevision")
            return next((entry.ref for entry in entries if entry.ref.name == named), None)
        case _:
            return entries[0].ref if entries else None


def _without_hash(template: Json) -> Json:
    metadata = {key: value for key, value in mapping(template, "metadata").items() if key != "creationTimestamp"}
    labels = {name: value for name, value in mapping(metadata, "labels").items() if name != _TEMPLATE_HASH}
    return {**mapping(template), "metadata": {**metadata, "labels": labels}}


def _revision(live: LiveObject, entry: LiveObject, pods: tuple[Pod, ...], *, current: bool) -> Revision:
    if entry.ref.kind == "ReplicaSet":
        template = mapping(entry.body, "spec", "template")
    else:
        stored = mapping(entry.body, "data", "spec", "template")
        template = {key: value for key, value in stored.items() if key != "$patch"}
    hash_ = _hash(live, entry)
    return Revision(
        ref=entry.ref,
        number=_number(entry),
        hash=hash_,
        current=current,
        ready=sum(pod.ready and pod.deleted_at is None and _is_of(pod, entry, hash_) for pod in pods),
        created_at=instant(entry.body, "metadata", "creationTimestamp"),
        template=parse_template(template),
        raw_template=template,
    )


def _hash(live: LiveObject, entry: LiveObject) -> str:
    """A StatefulSet's pods carry the revision's whole name, a DaemonSet's only its hash."""
    if entry.ref.kind == "ReplicaSet":
        return entry.labels.get(_TEMPLATE_HASH, "")
    if live.ref.kind == "StatefulSet":
        return entry.ref.name
    labelled = next((entry.labels[name] for name in _HASH_LABELS if name in entry.labels), "")
    return labelled or entry.ref.name.removeprefix(f"{live.ref.name}-")


def _is_of(pod: Pod, entry: LiveObject, hash_: str) -> bool:
    if entry.ref.kind == "ReplicaSet":
        return pod.controller is not None and pod.controller.uid == entry.ref.uid
    return pod.revision_hash == hash_
