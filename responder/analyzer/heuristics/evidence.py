"""From a snapshot to numbered evidence: one sentence or excerpt per observation, redacted and cut to size.

An `Exhibit` is an observation without a number; claims cite exhibits by value, and `number` gives each its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from responder.domain.investigation import Evidence, EvidenceKind
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import LogExcerpt, ServiceView, Snapshot
from responder.domain.versions import ObjectVersion, told
from responder.domain.visible import visible
from responder.domain.workload import ContainerStatus, EventRecord, Pod, Revision, Terminated, Workload
from responder.redact import cut, redact

MAX_TEXT = 4_096  # bytes of one piece of evidence
MAX_LOG = 8_192
_MAX_PODS = 10
_MAX_EVENTS = 30
_MAX_LABELS = 40


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    kind: EvidenceKind
    source: str
    text: str
    subject: ObjectRef | None = None
    truncated: bool = False


def exhibit(
    kind: EvidenceKind, source: str, text: str, *, subject: ObjectRef | None = None, truncated: bool = False
) -> Exhibit:
    """Redacted first and cut afterwards: a cut must not hide half of a secret's shape."""
    kept, shortened = cut(redact(text), MAX_LOG if kind is EvidenceKind.LOG else MAX_TEXT)
    return Exhibit(kind=kind, source=source, subject=subject, text=kept, truncated=truncated or shortened)


def number(exhibits: Iterable[Exhibit], observed_at: datetime) -> tuple[tuple[Evidence, ...], Mapping[Exhibit, str]]:
    """Each exhibit once, in the order of its first appearance, as `e1`, `e2` ..."""
    ids = {item: f"e{index}" for index, item in enumerate(dict.fromkeys(exhibits), start=1)}
    evidence = tuple(
        Evidence(
            id=id_,
            kind=item.kind,
            source=item.source,
            subject=item.subject,
            observed_at=observed_at,
            text=item.text,
            truncated=item.truncated,
        )
        for item, id_ in ids.items()
    )
    return evidence, ids


def of_snapshot(
    snapshot: Snapshot, alert_labels: Mapping[str, str], opened_at: datetime | None = None
) -> Iterator[Exhibit]:
    """All that was seen, whether or not a claim rests on it: the record must show what spoke against, too."""
    if alert_labels:
        yield of_alert(alert_labels)
    if snapshot.workload is not None:
        yield of_workload(snapshot.workload)
    yield from (of_revision(revision) for revision in snapshot.revisions[:5])
    yield from (of_change(version, opened_at) for version in snapshot.changes)
    for pod in snapshot.current_pods[:_MAX_PODS]:
        yield of_pod(pod)
        yield from (of_status(pod, status) for status in pod.statuses)
    yield from (of_event(event) for event in snapshot.events[:_MAX_EVENTS])
    yield from (of_log(excerpt) for excerpt in snapshot.logs)


def of_alert(labels: Mapping[str, str]) -> Exhibit:
    listed = ", ".join(f"{name}={value}" for name, value in sorted(labels.items())[:_MAX_LABELS])
    return exhibit(EvidenceKind.ALERT, "alert labels", listed)


def of_workload(workload: Workload) -> Exhibit:
    conditions = "; ".join(f"{c.type}={c.status} {c.reason}: {c.message}".rstrip(": ") for c in workload.conditions)
    counts = (
        f"desired {workload.desired}, updated {workload.updated}, ready {workload.ready}, "
        f"available {workload.available}, total {workload.total}, "
        f"generation {workload.generation} (observed {workload.observed_generation})"
    )
    text = f"{counts}{', paused' if workload.paused else ''}. {conditions}".strip()
    return exhibit(EvidenceKind.OBJECT, f"{workload.ref} status", text, subject=workload.ref)


def of_revision(revision: Revision) -> Exhibit:
    images = ", ".join(f"{c.name}={c.image}" for c in revision.template.containers)
    place = "current" if revision.current else "earlier"
    service = f"; its pods were well until {revision.served_until:%H:%M:%S} UTC" if revision.served_until else ""
    text = f"revision {revision.number} ({place}): {revision.ready} pods ready; images {images}{service}"
    return exhibit(EvidenceKind.ROLLOUT, f"{revision.ref} revision", text, subject=revision.ref)


def of_change(version: ObjectVersion, opened_at: datetime | None) -> Exhibit:
    text = visible(redact(told(version, since=opened_at)))  # an escape before a token would hide its form
    return exhibit(EvidenceKind.CHANGE, f"{version.ref}, change {version.seq} of the record", text, subject=version.ref)


def of_pod(pod: Pod) -> Exhibit:
    conditions = "; ".join(f"{c.type}={c.status} {c.reason}: {c.message}".rstrip(": ") for c in pod.conditions)
    text = f"phase {pod.phase} {pod.reason}: {pod.message}".rstrip(": ")
    return exhibit(EvidenceKind.STATUS, f"{pod.ref} status", f"{text}. {conditions}".strip(), subject=pod.ref)


def of_status(pod: Pod, status: ContainerStatus) -> Exhibit:
    kind = "init container" if status.init else "container"
    parts = [f"image {status.image}, ready {str(status.ready).lower()}, restarts {status.restarts}"]
    if status.waiting_reason:
        parts.append(f"waiting {status.waiting_reason}: {status.waiting_message}".rstrip(": "))
    if status.running_since is not None:
        parts.append(f"running since {status.running_since.isoformat()}")
    if status.terminated is not None:
        parts.append(f"terminated {_ending(status.terminated)}")
    if status.last_terminated is not None:
        parts.append(f"before that terminated {_ending(status.last_terminated)}")
    return exhibit(EvidenceKind.STATUS, f"{pod.ref} {kind} {status.name}", "; ".join(parts), subject=pod.ref)


def _ending(ended: Terminated) -> str:
    at = f" at {ended.finished_at.isoformat()}" if ended.finished_at is not None else ""
    return f"{ended.reason} exit code {ended.exit_code}{at} {ended.message}".strip()


def of_event(event: EventRecord) -> Exhibit:
    last = f", last {event.last_at.isoformat()}" if event.last_at is not None else ""
    text = f"{event.type} {event.reason} x{event.count}{last}: {event.message}"
    return exhibit(EvidenceKind.EVENT, f"event about {event.subject}", text, subject=event.subject)


def of_log(excerpt: LogExcerpt) -> Exhibit:
    which = "previous log" if excerpt.previous else "log"
    return exhibit(
        EvidenceKind.LOG,
        f"{excerpt.pod} container {excerpt.container}, {which}",
        excerpt.text or "(the log is empty)",
        subject=excerpt.pod,
        truncated=excerpt.truncated,
    )


def of_service(service: ServiceView) -> Exhibit:
    ports = ", ".join(f"{port}->{target}" for port, target in sorted(service.ports.items()))
    return exhibit(EvidenceKind.REFERENCE, f"{service.ref} ports", f"selects these pods; {ports}", subject=service.ref)


def of_names(source: str, names: Iterable[str], *, subject: ObjectRef | None = None) -> Exhibit:
    """What exists, by name, where a reference was looked up."""
    return exhibit(EvidenceKind.REFERENCE, source, ", ".join(sorted(names)[:200]) or "(none)", subject=subject)


def of_healthy_image(image: str, pod: ObjectRef) -> Exhibit:
    return exhibit(EvidenceKind.REFERENCE, f"{pod} image", f"a ready pod runs {image}", subject=pod)


def of_spec(subject: ObjectRef, what: str, text: str) -> Exhibit:
    """A statement of the object's own spec."""
    return exhibit(EvidenceKind.OBJECT, f"{subject} {what}", text, subject=subject)
