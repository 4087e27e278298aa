"""A cluster as one kept snapshot remembers it: what it holds whole is answered, all else is unknown.

Whole are the root object and the events about it and about its pods. Pods, revisions and neighbours are kept in parts
that Clopus reads, so the objects themselves are unknown here. Nothing can be written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from typing import NoReturn

from responder.analyzer.collect import MAX_EVENTS
from responder.cluster.protocol import ListPage, LogTail, WatchEvent
from responder.domain.action import Permission
from responder.domain.errors import ClusterUnavailable
from responder.domain.manifest import LiveObject
from responder.domain.plan import Change
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.workload import EventRecord


class RememberedCluster:
    """Implements `Cluster`. What it does not hold raises ClusterUnavailable and stays in `unknown`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.unknown: list[str] = []

    async def get(self, ref: ObjectRef) -> LiveObject:
        live = self._snapshot.live
        if live is None or not live.ref.same_name(ref):
            self._is_unknown(ref.key)
        return live

    async def list(
        self, kind: str, namespace: str, *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[LiveObject, ...]:
        """Events about one object, by a field selector that names its kind and name."""
        subject = self._subject(namespace, field_selector) if kind == "Event" and not label_selector else None
        if subject is None or not self._has_all_events():
            self._is_unknown(f"{kind} list of namespace {namespace} {field_selector}".rstrip())
        events = (event for event in self._snapshot.events if event.subject.same_name(subject))
        return tuple(_event(event, number) for number, event in enumerate(events, start=1))

    async def logs(
        self, pod: ObjectRef, container: str, *, previous: bool, tail_lines: int, limit_bytes: int
    ) -> LogTail:
        self._is_unknown(f"log of {pod.key}")

    async def apply(
        self, change: Change, *, execution_id: str, dry_run: bool, before_write: Callable[[], None] | None = None
    ) -> LiveObject:
        self._is_unknown("what a write would do")

    def pages(self, kind: str, namespace: str) -> AsyncIterator[ListPage]:
        self._is_unknown(f"{kind} list")

    def watch(self, kind: str, namespace: str, *, version: str, seconds: float) -> AsyncGenerator[WatchEvent, None]:
        self._is_unknown(f"changes of {kind} objects")

    async def permitted(self, namespace: str, permission: Permission) -> bool:
        self._is_unknown("what Clopus may do")

    async def certificate_ends(self) -> tuple[str, datetime] | None:
        self._is_unknown("the API server's certificate")

    async def close(self) -> None:
        """Nothing is open."""

    def _subject(self, namespace: str, field_selector: str) -> ObjectRef | None:
        terms = dict(term.partition("=")[::2] for term in field_selector.split(","))
        kind, name = terms.get("involvedObject.kind", ""), terms.get("involvedObject.name", "")
        wanted = ObjectRef(kind=kind, namespace=namespace, name=name)
        known = (self._snapshot.root, *(pod.ref for pod in self._snapshot.pods))
        return wanted if any(ref.same_name(wanted) for ref in known) else None

    def _has_all_events(self) -> bool:
        unread = any(hole.what.startswith("Event objects") for hole in self._snapshot.unchecked)
        return not unread and not self._snapshot.gone and len(self._snapshot.events) < MAX_EVENTS

    def _is_unknown(self, what: str) -> NoReturn:
        self.unknown.append(what)
        raise ClusterUnavailable(f"the snapshot does not hold {what}")


def _event(event: EventRecord, number: int) -> LiveObject:
    """As the API server would give it, as far as `parse_event` reads it."""
    subject = event.subject
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"event-{number}", "namespace": subject.namespace},
        "involvedObject": {
            "kind": subject.kind,
            "namespace": subject.namespace,
            "name": subject.name,
            "uid": subject.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "count": event.count,
        "firstTimestamp": event.first_at.isoformat() if event.first_at is not None else None,
        "lastTimestamp": event.last_at.isoformat() if event.last_at is not None else None,
        "source": {"component": event.component},
    }
    ref = ObjectRef(kind="Event", namespace=subject.namespace, name=f"event-{number}")
    return LiveObject(ref=ref, resource_version="", generation=0, body=body)
