"""What callers hand to the writer thread: tickets, the bounded queue they wait in, the units of a transaction.

Nothing here touches the database's files; the `Store` decides when a unit runs and what its failure means.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeAlias, TypeVar

from responder.domain.audit import AuditHead
from responder.domain.errors import QueueFull, StoreUnavailable
from responder.store import arrivals, audit
from responder.store.arrivals import Incoming, IngestResult
from responder.store.connection import Connection

T = TypeVar("T")


class Ticket(Generic[T]):
    """One caller's wait for a commit. Made and settled on the caller's event loop."""

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes it holds in the queue."""
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()

    def resolve(self, result: T) -> None:
        if not self.future.done():  # a caller that has gone away is no error: its work is committed all the same
            self.future.set_result(result)

    def reject(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass
class Cursor:
    """Where the tables end, as the writer knows it inside its transaction."""

    head: AuditHead
    next_alert: int
    head_moved: bool = False
    """Jobs ran: the chain's end has to be read again."""


class Unit(Protocol):
    """Work that succeeds or fails as one."""

    def perform(self, con: Connection, cursor: Cursor) -> None:
        """Run inside a transaction, perhaps twice: after a neighbour's failure it runs again in a new one."""

    def answers(self, error: BaseException | None) -> Iterator[Answer]:
        """How to tell the callers that the unit is committed, or has failed with `error`."""

    def parts(self) -> Sequence[Unit]:
        """Smaller units to try where this one fails alone."""


Answer: TypeAlias = tuple[asyncio.AbstractEventLoop, Callable[[], None]]
"""What to call, and the loop on which."""


class JobUnit(Generic[T]):
    """One `write`."""

    def __init__(self, job: Callable[[Connection], T]) -> None:
        self.ticket: Ticket[T] = Ticket(size=1024)
        self._job = job
        self._results: list[T] = []

    def perform(self, con: Connection, cursor: Cursor) -> None:
        self._results = [self._job(con)]
        cursor.head_moved = True

    def answers(self, error: BaseException | None) -> Iterator[Answer]:
        if error is None:
            yield self.ticket.loop, partial(self.ticket.resolve, self._results[0])
        else:
            yield self.ticket.loop, partial(self.ticket.reject, error)

    def parts(self) -> Sequence[Unit]:
        return ()


class BetweenCommits:
    """Work for the writer thread outside any transaction, such as a copy of the file."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.ticket: Ticket[None] = Ticket(size=0)
        self.work = work


@dataclass(frozen=True)
class Load:
    """One `ingest`."""

    rows: tuple[Incoming, ...]
    received_at: datetime
    ticket: Ticket[IngestResult]


class IngestUnit:
    """Many callers' deliveries, folded together and added in one statement, with one audit record."""

    def __init__(self, loads: Sequence[Load], grace_seconds: float) -> None:
        self._loads = loads
        self._grace_seconds = grace_seconds
        self._results: list[IngestResult] = []

    def perform(self, con: Connection, cursor: Cursor) -> None:
        rows = [row for load in self._loads for row in load.rows]
        news = arrivals.fold(con, rows, self._grace_seconds)
        arrivals.insert(con, [row for row, new in zip(rows, news, strict=True) if new], cursor.next_alert)
        self._results = list(_results(self._loads, news, cursor.next_alert))
        cursor.next_alert += sum(news)
        if rows:
            self._record(con, cursor)

    def answers(self, error: BaseException | None) -> Iterator[Answer]:
        by_loop: dict[asyncio.AbstractEventLoop, list[int]] = {}
        for index, load in enumerate(self._loads):
            by_loop.setdefault(load.ticket.loop, []).append(index)
        for loop, indexes in by_loop.items():
            yield loop, partial(self._answer, indexes, error)  # one call wakes all of a loop's callers

    def parts(self) -> Sequence[Unit]:
        if len(self._loads) == 1:
            return ()
        return [IngestUnit([load], self._grace_seconds) for load in self._loads]

    def _answer(self, indexes: Sequence[int], error: BaseException | None) -> None:
        for index in indexes:
            if error is None:
                self._loads[index].ticket.resolve(self._results[index])
            else:
                self._loads[index].ticket.reject(error)

    def _record(self, con: Connection, cursor: Cursor) -> None:
        accepted = [seq for result in self._results for seq in result.ids]
        record = audit.append(
            con,
            at=max(load.received_at for load in self._loads),
            actor="clopus",
            event="alerts_received",
            detail={
                "deliveries": len(self._loads),
                "accepted": len(accepted),
                "duplicates": sum(result.duplicates for result in self._results),
                "quarantined": sum(result.quarantined for result in self._results),
                "first": accepted[0] if accepted else 0,
                "last": accepted[-1] if accepted else 0,
            },
            after=cursor.head,
        )
        cursor.head = AuditHead(seq=record.seq, digest=record.digest)


def _results(loads: Sequence[Load], news: Sequence[bool], next_seq: int) -> Iterator[IngestResult]:
    position = 0
    for load in loads:
        mine = news[position : position + len(load.rows)]
        position += len(load.rows)
        kept = [row for row, new in zip(load.rows, mine, strict=True) if new]
        ids = tuple(range(next_seq, next_seq + len(kept)))
        next_seq += len(kept)
        yield IngestResult(
            accepted=len(kept),
            duplicates=len(mine) - len(kept),
            quarantined=sum(not row.status for row in kept),
            ids=ids,
        )


class Intake:
    """The writer's queue, bounded by count and by bytes. `put` is for event loops, `take` for the writer."""

    def __init__(self, *, max_waiting: int, max_bytes: int, max_group_bytes: int, grace_seconds: float) -> None:
        """`grace_seconds`: see `arrivals.GRACE_SECONDS`."""
        self._max_waiting, self._max_bytes, self._max_group_bytes = max_waiting, max_bytes, max_group_bytes
        self._grace_seconds = grace_seconds
        self._entries: deque[tuple[Load | Unit | BetweenCommits, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, entry: Load | Unit | BetweenCommits, size: int) -> None:
        """Raises QueueFull, or StoreUnavailable after `close`."""
        with self._changed:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            over = len(self._entries) >= self._max_waiting or self._bytes + size > self._max_bytes
            if self._entries and over:
                raise QueueFull("the store is behind with its commits", delay_seconds=1.0)
            self._entries.append((entry, size))
            self._bytes += size
            self._changed.notify()

    def take(self) -> Sequence[Unit] | BetweenCommits | None:
        """Wait for work, then take what is there as far as one transaction may hold. None: closed and empty.

        No linger: while one group commits, the next one gathers by itself.
        """
        loads: list[Load] = []
        units: list[Unit] = []
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closed)
            room = self._max_group_bytes
            while self._entries and room > 0:
                entry, size = self._entries[0]
                if isinstance(entry, BetweenCommits) and (loads or units):
                    break
                self._entries.popleft()
                self._bytes -= size
                room -= size
                if isinstance(entry, BetweenCommits):
                    return entry
                if isinstance(entry, Load):
                    loads.append(entry)
                else:
                    units.append(entry)
        if loads:
            units.insert(0, IngestUnit(loads, self._grace_seconds))
        return units or None

    def __len__(self) -> int:
        return len(self._entries)

    def close(self) -> None:
        """Take nothing more in; what waits is still taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
