"""Following the objects of one kind: list them, watch from the list's version, and never lose a deletion for good.

`Cursor` decides what to do next; `Reflector` does it, keeps the cache, and tells a sink what changed. It reads no more
into an event than that the state it shows is the newest: events may be merged, dropped, doubled or reordered, and a
fresh list every `resync_seconds` finds what they failed to say. Protocol:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes

A sink that fails is no reason to go blind. Whatever it raised is logged and counted, the cache keeps the state, and the
next list tells the object again. A deletion is told once: a sink with a memory of its own compares that with the cache
when it is told that a list is complete.
"""

from __future__ import annotations

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, assert_never

from responder.cluster.cache import ObjectCache
from responder.cluster.cursor import WATCH_SECONDS, Cursor, List, Wait, Watch, version_number
from responder.cluster.protocol import Cluster, ListPage, WatchEvent, WatchEventType
from responder.domain.errors import ClusterUnavailable, Forbidden, ResponderError, VersionExpired
from responder.domain.manifest import Manifest, text
from responder.telemetry import get_logger

BURST = 50  # objects of a list after which others get the loop: about 5 ms of work

log = get_logger("cluster.watch")


class DeltaType(StrEnum):
    UPSERT = "upsert"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """One object is different now. Not necessarily by one change: only the newest state counts."""

    kind: str
    namespace: str
    """Of the object; empty for cluster-scoped kinds."""
    name: str
    uid: str
    type: DeltaType
    raw: Manifest | None
    """The whole object as received; of a deletion the last state, None where a list showed that it is gone."""
    trimmed: Manifest | None
    """As cached; None for a deletion."""
    initial: bool
    """From the first list since the start: it was there before anyone looked."""
    relisted: bool
    """Found by a later list, not told by an event."""


class Sink(Protocol):
    """Whoever wants to know. Called one at a time, after the cache has changed; a slow one slows the reading down."""

    async def changed(self, delta: Delta) -> None: ...

    async def synced(self, kind: str, namespace: str) -> None:
        """A list is complete: the cache holds all there is."""


class WatchState(StrEnum):
    STARTING = "starting"
    LIVE = "live"
    RETRYING = "retrying"
    """The server does not answer as it should; what is cached may be old."""
    FORBIDDEN = "forbidden"
    """It may not be read, which is never the same as nothing there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchStatus:
    kind: str
    namespace: str
    state: WatchState
    problem: str
    """In the server's words; empty while all is well."""
    objects: int
    version: str
    relists: int
    """Lists completed after the first, since the start."""
    failures: int
    """Lists and watches that failed, since the start."""
    undelivered: int
    """Times that the sink failed, since the start."""
    last_contact: float | None
    """Monotonic time, in seconds, at which the server last said anything."""
    last_event: float | None
    """Monotonic time of the last change told by a watch."""
    synced_once: bool


class Reflector:
    """Follows one kind, in one namespace or ('') everywhere. `run` it as a task; it ends by cancellation only."""

    def __init__(
        self,
        cluster: Cluster,
        kind: str,
        namespace: str,
        *,
        trim: Callable[[str, Manifest], Manifest],
        sink: Sink,
        resync_seconds: float,
        watch_seconds: float = WATCH_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.cache = ObjectCache()
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace
        self._trim = trim
        self._sink = sink
        self._now = monotonic
        self._cursor = Cursor(resync_seconds=resync_seconds, watch_seconds=watch_seconds, random=random)
        self._reading: asyncio.Timeout | None = None
        self._state = WatchState.STARTING
        self._problem = ""
        self._lists = self._failures = self._undelivered = 0
        self._last_contact: float | None = None
        self._last_event: float | None = None

    @property
    def status(self) -> WatchStatus:
        return WatchStatus(
            kind=self._kind,
            namespace=self._namespace,
            state=self._state,
            problem=self._problem,
            objects=len(self.cache),
            version=self._cursor.version,
            relists=max(0, self._lists - 1),
            failures=self._failures,
            undelivered=self._undelivered,
            last_contact=self._last_contact,
            last_event=self._last_event,
            synced_once=self._lists > 0,
        )

    def relist(self) -> None:
        """Ask for a fresh list, as soon as one may be made. A watch that is silent meanwhile is given up."""
        self._cursor.ask()
        if self._reading is not None:
            self._reading.reschedule(0.0)
            self._reading = None

    async def run(self) -> None:
        while True:
            match step := self._cursor.next(self._now()):
                case Wait():
                    await asyncio.sleep(step.seconds)
                case List():
                    await self._attempt(self._list())
                case Watch():
                    await self._attempt(self._watch(step))
                case _:
                    assert_never(step)

    async def _attempt(self, work: Awaitable[None]) -> None:
        try:
            await work
        except VersionExpired as exc:
            self._cursor.expired(self._now())
            self._trouble(WatchState.RETRYING, str(exc))
        except Forbidden as exc:
            self._cursor.failed(exc, self._now())
            self._trouble(WatchState.FORBIDDEN, str(exc))
        except ResponderError as exc:
            self._cursor.failed(exc, self._now())
            self._trouble(WatchState.RETRYING, str(exc))
        except Exception as exc:  # an object of an unheard-of shape: a watch that has ended would look like a quiet one
            log.exception("watch failed", kind=self._kind, namespace=self._namespace)
            self._cursor.failed(ClusterUnavailable(str(exc)), self._now())
            self._trouble(WatchState.RETRYING, f"{type(exc).__name__}: {exc}")

    def _trouble(self, state: WatchState, problem: str) -> None:
        self._failures += 1
        if self._state is not state:
            log.warning("watch in trouble", kind=self._kind, namespace=self._namespace, state=state, problem=problem)
        self._state, self._problem = state, problem

    def _heard(self) -> None:
        self._last_contact = self._now()
        if self._state is not WatchState.LIVE:
            log.info("watch is live", kind=self._kind, namespace=self._namespace, objects=len(self.cache))
        self._state, self._problem = WatchState.LIVE, ""

    # -- lists ------------------------------------------------------------------------------------------------------

    async def _list(self) -> None:
        """Take over page by page: what is there first, and what is gone once it is known to be."""
        version = ""
        seen: set[tuple[str, str]] = set()
        async for page in self._cluster.pages(self._kind, self._namespace):
            self._last_contact = self._now()
            if not version and not self._cursor.believes(page.version, self._now()):
                problem = f"a list at version {page.version or 'none'} is older than what was seen: not taken over"
                self._trouble(WatchState.RETRYING, problem)
                return
            version = version or page.version
            await self._take_page(page, seen)
            del page  # so that only one is held while the next is read
        for (namespace, name), _ in self.cache.entries():
            if (namespace, name) not in seen:
                await self._delete(namespace, name, None)
        self._cursor.listed(version, self._now())
        self.cache.complete(version_number(version))
        self._lists += 1
        self._heard()
        await self._delivered(self._sink.synced(self._kind, self._namespace))

    async def _take_page(self, page: ListPage, seen: set[tuple[str, str]]) -> None:
        for count, raw in enumerate(page.objects, start=1):
            namespace, name, uid, version = _identity(raw)
            if not name:
                continue
            seen.add((namespace, name))
            known = self.cache.entry(namespace, name)
            if known is None or known.uid != uid or version is None or known.version != version:
                await self._upsert(raw)
            if count % BURST == 0:
                await asyncio.sleep(0)

    # -- events -----------------------------------------------------------------------------------------------------

    async def _watch(self, step: Watch) -> None:
        events = self._cluster.watch(self._kind, self._namespace, version=step.version, seconds=step.seconds)
        overdue = self._now() + step.seconds + WATCH_SECONDS  # for a server that keeps no time
        scope = asyncio.timeout(None)
        try:
            async with scope, aclosing(events):
                self._reading = scope
                async for event in events:
                    self._reading = None  # what the sink has begun is not broken off
                    scope.reschedule(None)
                    await self._take(event)
                    if self._cursor.list_due(self._now()) or self._now() > overdue:
                        return
                    self._reading = scope
        except TimeoutError:
            if not scope.expired():
                raise
            return
        finally:
            self._reading = None
        self._last_contact = self._now()
        if not self._cursor.ended(self._now()):
            self._trouble(WatchState.RETRYING, "the server ended the watch at once, without a word")

    async def _take(self, event: WatchEvent) -> None:
        version = text(event.object, "metadata", "resourceVersion")
        self._heard()
        match event.type:
            case WatchEventType.OPENED:
                return
            case WatchEventType.BOOKMARK:
                self._cursor.bookmark(version)
                return
            case WatchEventType.ADDED | WatchEventType.MODIFIED | WatchEventType.DELETED:
                self._last_event = self._now()
                await self._take_object(event)
            case _:
                assert_never(event.type)
        self._cursor.event(version)

    async def _take_object(self, event: WatchEvent) -> None:
        namespace, name, uid, version = _identity(event.object)
        if not name or self.cache.outdated(namespace, name, uid=uid, version=version):
            return
        if event.type is not WatchEventType.DELETED:
            await self._upsert({"kind": self._kind, **event.object})
            return
        self.cache.bury(uid, version)
        known = self.cache.entry(namespace, name)
        # The deletion of another object of this name ends ours, too, if it is known to be the later one.
        if known is not None and (known.uid == uid or version is not None):
            await self._delete(namespace, name, {"kind": self._kind, **event.object})

    # -- both -------------------------------------------------------------------------------------------------------

    async def _upsert(self, raw: Manifest) -> None:
        namespace, name, uid, version = _identity(raw)
        known = self.cache.entry(namespace, name)
        if known is not None and known.uid != uid:
            await self._delete(namespace, name, None)
        trimmed = self._trim(self._kind, raw)
        self.cache.put(namespace, name, uid=uid, version=version, body=trimmed)
        delta = self._delta(namespace, name, uid, DeltaType.UPSERT, raw, trimmed)
        if not await self._delivered(self._sink.changed(delta)):
            self.cache.doubt(namespace, name)

    async def _delete(self, namespace: str, name: str, raw: Manifest | None) -> None:
        known = self.cache.remove(namespace, name)
        if known is not None:
            self.cache.bury(known.uid, version_number(text(raw, "metadata", "resourceVersion")))
            last = raw if text(raw, "metadata", "uid") == known.uid else None
            delta = self._delta(namespace, name, known.uid, DeltaType.DELETE, last, None)
            await self._delivered(self._sink.changed(delta))

    def _delta(
        self, namespace: str, name: str, uid: str, kind: DeltaType, raw: Manifest | None, trimmed: Manifest | None
    ) -> Delta:
        listing = self._cursor.listing
        return Delta(
            kind=self._kind,
            namespace=namespace,
            name=name,
            uid=uid,
            type=kind,
            raw=raw,
            trimmed=trimmed,
            initial=listing and not self._lists,
            relisted=listing and self._lists > 0,
        )

    async def _delivered(self, call: Awaitable[None]) -> bool:
        try:
            await call
        except Exception:  # whoever listens has failed, and the watch must not go blind for it
            self._undelivered += 1
            log.exception("sink failed", kind=self._kind, namespace=self._namespace)
            return False
        return True


def _identity(raw: Manifest) -> tuple[str, str, str, int | None]:
    """Namespace, name, uid, version."""
    metadata = raw.get("metadata")
    version = version_number(text(metadata, "resourceVersion"))
    return text(metadata, "namespace"), text(metadata, "name"), text(metadata, "uid"), version
