"""What is committed, as it happens: audit records and steps of investigations, as server-sent events.

The id of an event is the place right after it in both sequences, `<audit>.<step>`; a client that comes back with the
last id it has seen goes on there, without loss and without repetition. Nothing is queued for a client: each one reads
on from its own place once the store has committed more, so a slow one delays nobody and holds one batch.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from heapq import merge
from typing import NamedTuple

from aiohttp import hdrs, web

from responder import wire
from responder.api.auth import Role
from responder.api.endpoint import Endpoint, Parameter
from responder.api.problems import problem
from responder.api.requests import Query
from responder.api.services import SERVICES
from responder.domain.audit import AuditRecord
from responder.domain.errors import QueueFull, StoreUnavailable
from responder.domain.views import StepEvent
from responder.store import audit, incidents, investigations
from responder.store.store import Connection, Store
from responder.telemetry import get_logger

log = get_logger("api")

MAX_STREAMS = 64
BATCH = 500
"""Records of either kind in one read."""
BATCH_BYTES = 512 * 1024
"""What is held for a client that takes its time; one larger event still goes through, alone."""
HEARTBEAT_SECONDS = 15.0
READ_SECONDS = 0.1
"""From one read to the next, at least."""
LOOK_SECONDS = 1.0
"""How soon a client that is gone makes room for another."""
STALL_SECONDS = 30.0
"""A client that takes nothing for this long is cut off; it may come back."""
RETRY_MS = 2000

_ID = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\Z", re.ASCII)

_QUERY = (
    Parameter(name="incident", meaning="only what belongs to this incident"),
    Parameter(name="after", meaning="id of the last event seen, for clients that cannot send Last-Event-ID"),
)


class Place(NamedTuple):
    """The last numbers seen of both sequences."""

    audit: int
    step: int

    def __str__(self) -> str:
        return f"{self.audit}.{self.step}"


@dataclass(frozen=True, kw_only=True)
class Batch:
    frames: tuple[bytes, ...]
    place: Place
    """Where the next read goes on."""
    more: bool
    """There was more than one batch holds."""


class Streams:
    """Those that are open: counted, ended with the application, and reading together what is the same for several."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[None]] = set()
        self._reading: dict[tuple[int, Place, str], asyncio.Future[Batch]] = {}
        self._ended = False

    @contextmanager
    def place(self, pump: asyncio.Task[None]) -> Iterator[None]:
        self._open.add(pump)
        try:
            yield
        finally:
            self._open.discard(pump)

    def refuse_beyond_limit(self) -> None:
        """Raises QueueFull."""
        if self._ended:
            raise QueueFull("the server is stopping", delay_seconds=10.0)
        if len(self._open) >= MAX_STREAMS:
            raise QueueFull(f"{MAX_STREAMS} streams are open already", delay_seconds=10.0)

    def __len__(self) -> int:
        return len(self._open)

    async def read(self, store: Store, seen: int, place: Place, incident_id: str) -> Batch:
        """What follows `place`, on a state of the store that has at least the first `seen` commits.

        Clients that have caught up all stand at one place: one read answers those that ask while it is under way.
        """
        key = (seen, place, incident_id)
        reading = self._reading.get(key)
        if reading is None:
            query = partial(_read, place=place, incident_id=incident_id)
            reading = self._reading[key] = asyncio.ensure_future(store.read(query))
            reading.add_done_callback(partial(self._was_read, key))
        return await asyncio.shield(reading)

    def _was_read(self, key: tuple[int, Place, str], reading: asyncio.Future[Batch]) -> None:
        del self._reading[key]
        if not reading.cancelled():
            reading.exception()  # those who asked may all be gone: it counts as looked at

    async def end(self, _: web.Application) -> None:
        """The listener waits for requests in flight, and these would never end by themselves."""
        self._ended = True
        for pump in self._open:
            pump.cancel()


STREAMS = web.AppKey("streams", Streams)


def prepare(app: web.Application) -> None:
    app[STREAMS] = Streams()
    app.on_shutdown.append(app[STREAMS].end)


async def stream_events(request: web.Request) -> web.StreamResponse:
    query = Query(request, _QUERY)
    incident_id = query.text("incident")
    wanted = request.headers.get("Last-Event-ID", "") or query.text("after")
    streams = request.app[STREAMS]
    streams.refuse_beyond_limit()
    head = await request.app[SERVICES].store.read(partial(_head, incident_id=incident_id))
    start = _place(wanted, head) if wanted else head
    if start is None:
        detail = f"no event has the id {wanted[:64]!r}; without one the stream starts now"
        return problem(400, detail, kind="request-invalid", instance=request.path)
    response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    response.headers["X-Content-Type-Options"] = "nosniff"
    streams.refuse_beyond_limit()  # others may have come while the head was read
    pump = asyncio.create_task(_pump(request, response, start, incident_id), name="stream")
    with streams.place(pump):
        await _until_over(pump)
    _let_go(request)
    return response


async def _until_over(pump: asyncio.Task[None]) -> None:
    """Raises what the stream failed with; that it was ended, its client gone or the store closed is no failure."""
    try:
        await asyncio.wait({pump})
    finally:
        pump.cancel()
    if pump.cancelled():
        return
    error = pump.exception()
    if error is not None and not isinstance(error, ConnectionError | TimeoutError | StoreUnavailable):
        raise error


def _let_go(request: web.Request) -> None:
    """A client that does not take what it was sent would hold up the end of its connection."""
    transport = request.transport
    if isinstance(transport, asyncio.WriteTransport) and transport.get_write_buffer_size():
        transport.abort()


async def _pump(request: web.Request, response: web.StreamResponse, place: Place, incident_id: str) -> None:
    """Write until the client is gone, its token is withdrawn, or the application ends."""
    store = request.app[SERVICES].store
    await response.prepare(request)
    await _send(response, f"retry: {RETRY_MS}\nid: {place}\n\n".encode())
    sent_at = looked_at = time.monotonic()
    seen = -1
    while _is_there(request):
        if time.monotonic() - looked_at >= HEARTBEAT_SECONDS:
            if not _may_still_look(request):
                return
            looked_at = time.monotonic()
        if store.commits > seen:
            seen = store.commits
            batch = await request.app[STREAMS].read(store, seen, place, incident_id)
            seen, place = -1 if batch.more else seen, batch.place
            for frame in batch.frames:
                await _send(response, frame)
                sent_at = time.monotonic()
            await asyncio.sleep(READ_SECONDS)
        elif time.monotonic() - sent_at >= HEARTBEAT_SECONDS:
            await _send(response, f": nothing new\nid: {place}\n\n".encode())
            sent_at = time.monotonic()
        await store.wait_commit(seen, min(LOOK_SECONDS, HEARTBEAT_SECONDS))


async def _send(response: web.StreamResponse, frame: bytes) -> None:
    """Raises TimeoutError where the client has stalled."""
    async with asyncio.timeout(STALL_SECONDS):
        await response.write(frame)


def _is_there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _may_still_look(request: web.Request) -> bool:
    """Tokens are withdrawn while streams are open."""
    identity = request.app[SERVICES].credentials.identify(request.headers.get(hdrs.AUTHORIZATION, ""))
    return identity is not None and identity.may(Role.VIEWER)


def _place(wanted: str, head: Place) -> Place | None:
    """The place that an id names; None where no event can have it."""
    match = _ID.match(wanted)
    if match is None:
        return None
    place = Place(audit=int(match[1]), step=int(match[2]))
    return place if place.audit <= head.audit and place.step <= head.step else None


def _head(con: Connection, *, incident_id: str = "") -> Place:
    """Raises NotFound where the incident is none."""
    if incident_id:
        incidents.get(con, incident_id)
    return Place(audit=audit.head(con).seq, step=investigations.last_step(con))


def _read(con: Connection, *, place: Place, incident_id: str) -> Batch:
    """What follows `place`. Encoded here, off the event loop."""
    head = _head(con)
    if head == place:
        return Batch(frames=(), place=place, more=False)
    records = audit.after(con, place.audit, incident_id=incident_id, limit=BATCH)
    steps = investigations.steps_after(con, place.step, incident_id=incident_id, limit=BATCH)
    frames, size = list[bytes](), 0
    for event in _by_time(records, steps):
        if size >= BATCH_BYTES:
            return Batch(frames=tuple(frames), place=place, more=True)
        place = event.after(place)
        frames.append(event.frame(place))
        size += len(frames[-1])
    return Batch(
        frames=tuple(frames),
        place=Place(
            audit=place.audit if len(records) == BATCH else head.audit,
            step=place.step if len(steps) == BATCH else head.step,
        ),
        more=BATCH in (len(records), len(steps)),
    )


def _by_time(records: Iterable[AuditRecord], steps: Iterable[tuple[int, StepEvent]]) -> Iterator[_Event]:
    """Merged; each sequence keeps its own order, whatever the clock did."""
    return merge(
        (_Event(at=record.at, seq=record.seq, what=record) for record in records),
        (_Event(at=event.step.at, seq=seq, what=event) for seq, event in steps),
        key=lambda event: event.at,
    )


@dataclass(frozen=True, kw_only=True)
class _Event:
    at: datetime
    seq: int
    what: AuditRecord | StepEvent

    def after(self, place: Place) -> Place:
        if isinstance(self.what, AuditRecord):
            return place._replace(audit=self.seq)
        return place._replace(step=self.seq)

    def frame(self, place: Place) -> bytes:
        """JSON text has no line break of its own, so one `data` line holds it."""
        name = "audit" if isinstance(self.what, AuditRecord) else "step"
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), str(place).encode(), wire.dumps(self.what))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/stream",
        handler=stream_events,
        role=Role.VIEWER,
        summary="Audit records and steps of investigations as they are committed; `Last-Event-ID` resumes.",
        query=_QUERY,
        answer=None,
        events={"audit": AuditRecord, "step": StepEvent},
        refusals=(400, 404),
    ),
)
