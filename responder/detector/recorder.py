"""From what the watches tell to the record of changes: which news is a change, and when it is written down.

Of each object only a digest is remembered, so an update that decides nothing costs a hash. What happened while nobody
watched is found by comparing the first complete list with the record, and marked as such: its time is an upper bound.
Nothing is dropped: where the store is slow, the watch waits.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from responder.cluster.watch import Delta, DeltaType
from responder.detector.record import RECORDED_KINDS, Author, author, deleter, digest_of, kept, recorded_part
from responder.domain.errors import TemporaryError
from responder.domain.manifest import Manifest, instant, number, text
from responder.domain.refs import ObjectRef
from responder.domain.versions import ObjectVersion, VersionEvent
from responder.store import versions
from responder.store.store import Connection, Store
from responder.store.versions import NewVersion
from responder.telemetry import Metrics, get_logger

log = get_logger("recorder")

MAX_BUFFER_BYTES = 4 * 2**20
MAX_BUFFER_COUNT = 1000
MAX_BATCH_COUNT = 200
"""Versions in one transaction: alerts wait for the writer meanwhile."""
WRITE_SECONDS = 0.5
"""How long news waits for more of it."""
RETRY_SECONDS = 1.0
NEW_FOR = timedelta(minutes=10)
"""An object that an event tells of and that is older was not made just now."""

_DIGEST_BYTES = 16
_UID_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class RecordLimits:
    """See the settings' section `changes`."""

    keep_days: float = 30.0
    max_versions: int = 50
    max_object_bytes: int = 262_144
    max_total_bytes: int = 512 * 1024 * 1024


def _everywhere(_kind: str, _namespace: str) -> bool:
    return True


class Recorder:
    """Give it every delta of every watch; `run` it beside them, or call `flush`.

    `selects` says which namespaces are in scope. It is asked here and not by the caller, because an object that is not
    handed over before `synced` counts as deleted.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], datetime],
        limits: RecordLimits | None = None,
        selects: Callable[[str, str], bool] = _everywhere,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._now = now
        self._limits = limits or RecordLimits()
        self._selects = selects
        self._known: dict[str, dict[str, bytes]] = {}
        """Kind -> `namespace/name` -> beginnings of the digests of uid and content."""
        self._unseen: dict[str, set[str]] = {}
        """What the record knows and no watch has shown since the start."""
        self._since = now()
        """When the record was last written to before the start; the start, where it is empty."""
        self._loaded = False
        self._loading = asyncio.Lock()
        self._buffer: list[NewVersion] = []
        self._buffered = 0
        self._writing = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def buffered_bytes(self) -> int:
        """What waits to be written."""
        return self._buffered

    async def changed(self, delta: Delta) -> None:
        """Take in one delta. Waits where too much is not written yet."""
        if delta.kind not in RECORDED_KINDS:
            return
        await self._load()
        place = _place(delta.namespace, delta.name)
        self._unseen.get(delta.kind, set()).discard(place)
        if delta.type is DeltaType.DELETE:
            self._deleted(delta, place)
        elif delta.raw is not None and self._selects(delta.kind, delta.namespace):
            await self._found(delta, delta.raw, place)
        while self._buffered > MAX_BUFFER_BYTES or len(self._buffer) >= MAX_BUFFER_COUNT:
            await self._write_or_wait()

    async def synced(self, kind: str, namespace: str) -> None:
        """A complete list is in: what the record knows there and the list did not have is gone."""
        if kind not in RECORDED_KINDS:
            return
        await self._load()
        unseen = self._unseen.get(kind, set())
        for place in sorted(unseen):
            home, _, name = place.rpartition("/")
            if namespace not in ("", home) or not self._selects(kind, home):
                continue
            unseen.discard(place)
            del self._known[kind][place]
            ref = ObjectRef(kind=kind, namespace=home, name=name)
            self._put(_deletion(ref, self._now(), Author(), while_away=True))

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            TemporaryError: the store takes nothing now. What was not written still waits.
        """
        async with self._writing:
            while self._buffer:
                batch = self._buffer[:MAX_BATCH_COUNT]
                try:
                    await self._store.write(lambda con, batch=batch: versions.append(con, batch))  # type: ignore[misc]
                except asyncio.CancelledError:  # the store commits what it was given, whether or not somebody waits
                    self._drop(batch)
                    raise
                self._drop(batch)
                self._count(batch)

    async def run(self) -> None:
        """Write whatever comes, at most a second late while the store keeps up, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(WRITE_SECONDS)
            while self._buffer:
                await self._write_or_wait()

    async def prune(self) -> int:
        """Drop what is older or more than the limits allow; how many versions. To be called now and then.

        Raises:
            TemporaryError: the store takes nothing now.
        """
        limits = self._limits
        before = self._now() - timedelta(days=limits.keep_days)

        def job(con: Connection) -> int:
            return versions.prune(
                con, before=before, max_versions=limits.max_versions, max_total_bytes=limits.max_total_bytes
            )

        return await self._store.write(job)

    async def _load(self) -> None:
        """What the record knew at the last stop, once."""
        if self._loaded:
            return
        async with self._loading:
            while not self._loaded:
                try:
                    known, last = await self._store.read(_recorded)
                except TemporaryError as exc:
                    log.warning("the record of changes cannot be read", problem=str(exc))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._known = {kind: dict(known.get(kind, {})) for kind in RECORDED_KINDS}
                self._unseen = {kind: set(places) for kind, places in self._known.items()}
                self._since = last or self._since
                self._loaded = True

    async def _found(self, delta: Delta, raw: Manifest, place: str) -> None:
        digest = digest_of(recorded_part(delta.kind, raw))
        mark = _mark(delta.uid, digest)
        known = self._known[delta.kind].get(place)
        if known == mark:
            return
        self._known[delta.kind][place] = mark
        away = delta.initial or delta.relisted
        if known is not None and known[:_UID_BYTES] == mark[:_UID_BYTES]:
            self._put(await self._version(delta, raw, VersionEvent.CHANGED, while_away=away))
            return
        if known is not None:
            ref = ObjectRef(kind=delta.kind, namespace=delta.namespace, name=delta.name)
            self._put(_deletion(ref, self._now(), Author(), while_away=away))
        if known is not None or self._is_new(raw, listed=away):
            self._put(await self._version(delta, raw, VersionEvent.CREATED, while_away=away))
        else:
            self._put(await self._version(delta, raw, VersionEvent.SEEN, while_away=False))

    def _is_new(self, raw: Manifest, *, listed: bool) -> bool:
        """Whether an object that the record does not know was made since; else it was only not in sight so far.

        One from a list is new where it was made after the record was last written to; one from an event may have come
        into the scope with its namespace.
        """
        created = instant(raw, "metadata", "creationTimestamp")
        since = self._since if listed else self._now() - NEW_FOR
        return not listed if created is None else created > since

    def _deleted(self, delta: Delta, place: str) -> None:
        known = self._known[delta.kind].get(place)
        if known is None or (delta.uid and known[:_UID_BYTES] != _mark(delta.uid, "")[:_UID_BYTES]):
            return
        del self._known[delta.kind][place]
        by = deleter(delta.raw) if delta.raw is not None else Author()
        ref = ObjectRef(kind=delta.kind, namespace=delta.namespace, name=delta.name, uid=delta.uid)
        self._put(_deletion(ref, self._now(), by, while_away=delta.relisted or delta.initial))

    async def _version(self, delta: Delta, raw: Manifest, event: VersionEvent, *, while_away: bool) -> NewVersion:
        # Off the event loop: redacting a megabyte of someone's making takes seconds.
        found = await asyncio.to_thread(kept, delta.kind, raw, max_bytes=self._limits.max_object_bytes)
        by = author(raw)
        of_status = author(raw, of_status=True) if delta.kind == "Node" else Author()
        created = instant(raw, "metadata", "creationTimestamp")
        version = ObjectVersion(
            seq=0,
            ref=ObjectRef(kind=delta.kind, namespace=delta.namespace, name=delta.name, uid=delta.uid),
            event=event,
            seen_at=self._now(),
            changed_at=created if event is VersionEvent.CREATED else by.at,
            manager=by.manager,
            resource_version=text(raw, "metadata", "resourceVersion"),
            generation=number(raw, "metadata", "generation"),
            while_away=while_away,
            restorable=not found.lost and not found.too_large,
            lost=found.lost,
        )
        return NewVersion(
            version=version,
            digest=found.digest,
            body=orjson.dumps(found.body),
            hidden=found.hidden,
            max_bytes=self._limits.max_object_bytes,
            status_manager=of_status.manager,
            status_at=of_status.at,
        )

    def _put(self, new: NewVersion) -> None:
        self._buffer.append(new)
        self._buffered += new.size
        self._news.set()

    def _drop(self, written: Sequence[NewVersion]) -> None:
        """The oldest of what waits."""
        del self._buffer[: len(written)]
        self._buffered -= sum(new.size for new in written)

    def _count(self, written: Sequence[NewVersion]) -> None:
        if self._metrics is not None:
            for new in written:
                self._metrics.changes_recorded.labels(event=new.version.event.value).inc()

    async def _write_or_wait(self) -> None:
        try:
            await self.flush()
        except TemporaryError as exc:
            log.warning("changes wait to be recorded", waiting=len(self._buffer), problem=str(exc))
            await asyncio.sleep(RETRY_SECONDS)


def _recorded(con: Connection) -> tuple[Mapping[str, Mapping[str, bytes]], datetime | None]:
    known: dict[str, dict[str, bytes]] = {}
    for item in versions.latest(con):
        known.setdefault(item.kind, {})[_place(item.namespace, item.name)] = _mark(item.uid, item.digest)
    return known, versions.last_seen_at(con)


def _deletion(ref: ObjectRef, seen_at: datetime, by: Author, *, while_away: bool) -> NewVersion:
    return NewVersion(
        version=ObjectVersion(
            seq=0,
            ref=ref,
            event=VersionEvent.DELETED,
            seen_at=seen_at,
            changed_at=by.at,
            manager=by.manager,
            while_away=while_away,
        )
    )


def _place(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _mark(uid: str, digest: str) -> bytes:
    """Tells another object of the name from another version of the object, in 24 bytes."""
    of_uid = hashlib.blake2b(uid.encode(), digest_size=_UID_BYTES).digest()
    return of_uid + bytes.fromhex(digest[: 2 * _DIGEST_BYTES])
