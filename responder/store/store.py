"""The store: one DuckDB file, one writer thread, group commit, readers beside it.

Whatever waits when the writer comes round goes into one transaction; callers are answered after its commit is on disk
and the head of the audit chain is too. A job that raises is taken out and run alone, so that its neighbours are not
rolled back with it. After a failure of the storage nothing is acknowledged until the file has been opened again and its
chain ends where the head outside says.

What stands in the tables is decided by the modules beside this one: plain functions on a `Connection`, given to `write`
and `read`. A job may run twice before it commits, so it changes nothing but the database.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from responder.domain.alert import Delivery
from responder.domain.audit import AuditHead
from responder.domain.errors import StoreUnavailable
from responder.store import arrivals
from responder.store.arrivals import IngestResult
from responder.store.commits import Commits
from responder.store.connection import MEMORY, Connection
from responder.store.database import Database
from responder.store.intake import BetweenCommits, Intake, JobUnit, Load, Ticket, Unit
from responder.store.opening import OpenOptions

__all__ = ["Connection", "IngestResult", "Store"]

T = TypeVar("T")

MAX_WAITING = 8192
"""Callers that may wait for a commit."""
MAX_WAITING_BYTES = 64 * 2**20
MAX_GROUP_BYTES = 16 * 2**20
"""Bytes that one transaction may hold; one larger delivery still goes through, alone."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


_MANY_ALERTS = 200
"""A body with more of them is turned into rows off the event loop."""


class Store:
    """Open with `Store.open`, end with `close`: DuckDB must not run when the interpreter goes down."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake
        self._commits = Commits()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        clock: Callable[[], datetime] = _utc_now,
        memory_limit: str = "128MB",
        threads: int = 1,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        grace_seconds: float = arrivals.GRACE_SECONDS,
    ) -> Store:
        """Open, migrate and check the database, then start the writer. `":memory:"` keeps nothing.

        A damaged file is moved aside and a new one started: see `quarantined`. An alert that still fires
        `grace_seconds` after its incident was closed is new again.

        Raises:
            ConfigError: the file is another program's or a newer release's; it is untouched.
            StoreUnavailable: the file is in use, or the disk or the rights refuse; it is untouched.
        """
        options = OpenOptions(memory_limit=memory_limit, threads=threads)
        database = Database.open(None if str(path) == MEMORY else Path(path), options, clock)
        intake = Intake(
            max_waiting=max_waiting,
            max_bytes=max_waiting_bytes,
            max_group_bytes=MAX_GROUP_BYTES,
            grace_seconds=grace_seconds,
        )
        return cls(database, intake)

    @property
    def path(self) -> Path | None:
        return self._database.path

    @property
    def quarantined(self) -> Path | None:
        """Where the damaged database was moved to at the start; None when it was sound."""
        return self._database.quarantined

    @property
    def lost_tail(self) -> bool:
        """The database ends before the head of the audit chain: records that were committed are missing."""
        return self._database.lost_tail

    @property
    def problem(self) -> str:
        """Why nothing can be committed at present; '' when all is well."""
        return self._database.problem

    @property
    def commits(self) -> int:
        """Transactions that were committed since the store was opened."""
        return self._commits.count

    @property
    def waiting(self) -> int:
        """Jobs and deliveries that the writer has not taken yet."""
        return len(self._intake)

    def size(self) -> int | None:
        """Bytes of the file and its write-ahead log; None in memory. Raises OSError."""
        return self._database.size()

    async def wait_commit(self, after: int, seconds: float) -> int:
        """`commits` once it is above `after`, or as it is after this long.

        For readers who follow the record: take `commits`, read, then wait for more than what was taken.
        """
        return await self._commits.wait(after, seconds)

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in a transaction; its result once that is on disk. What the job raises reaches its caller alone.

        Cancelling the wait does not take the job back.

        Raises:
            QueueFull: too much waits already.
            StoreUnavailable: nothing can be committed now. Where the commit itself failed, the job may have been kept.
        """
        unit = JobUnit(job)
        self._intake.put(unit, unit.ticket.size)
        return await unit.ticket.future

    async def ingest(self, delivery: Delivery, received_at: datetime) -> IngestResult:
        """Add the alerts of one delivery, together with those of every other caller that waits.

        Raises:
            QueueFull: too much waits already; the sender has to come again.
            StoreUnavailable: nothing may be acknowledged to the sender.
        """
        if len(delivery.alerts) > _MANY_ALERTS:
            rows = await asyncio.to_thread(arrivals.incoming, delivery, received_at)
        else:
            rows = arrivals.incoming(delivery, received_at)
        load = Load(rows=rows, received_at=received_at, ticket=Ticket(size=arrivals.size_of(rows)))
        self._intake.put(load, load.ticket.size)
        return await load.ticket.future

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a reader thread, on one consistent state that cannot be written to.

        Raises:
            StoreUnavailable: the database failed or is closed.
        """
        loop = asyncio.get_running_loop()
        try:
            waiting = loop.run_in_executor(self._database.readers, self._database.query, query)
        except RuntimeError as exc:  # the executor was shut down
            raise StoreUnavailable(self.problem or "the store is closed") from exc
        return await waiting

    async def snapshot(self, target: Path) -> None:
        """Copy the database to `target`, which must not exist, between two commits; the writer waits meanwhile.

        The copy has no chain head beside it: a store started on it says that its tail may be missing.

        Raises:
            StoreUnavailable: the copy failed, or the store is in memory.
        """
        copy = BetweenCommits(partial(self._database.snapshot, target))
        self._intake.put(copy, copy.ticket.size)
        await copy.ticket.future

    def remembered_head(self) -> AuditHead | None:
        """The chain head outside the database, for `audit.verify`; None for an in-memory store."""
        return self._database.remembered_head()

    def close(self) -> None:
        """Commit what waits, then release the file. Idempotent."""
        self._intake.close()
        self._thread.join()
        self._database.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while (taken := self._intake.take()) is not None:
            if isinstance(taken, BetweenCommits):
                self._between_commits(taken)
                continue
            try:
                self._database.ready()
                self._commit(taken)
            except StoreUnavailable as exc:
                _answer(taken, exc)

    def _between_commits(self, taken: BetweenCommits) -> None:
        try:
            self._database.ready()
            taken.work()
        except StoreUnavailable as exc:
            _call(taken.ticket.loop, partial(taken.ticket.reject, exc))
        else:
            _call(taken.ticket.loop, partial(taken.ticket.resolve, None))

    def _commit(self, units: Sequence[Unit]) -> None:
        """Commit every unit that can be, in order, in as few transactions as the refusals allow."""
        while units:
            refused = self._database.transaction(units)
            if refused is None:
                self._commits.tell()
                return _answer(units, None)
            culprit = units[refused.index]
            if len(units) > 1:
                self._commit(units[: refused.index])
                self._commit([culprit])
            elif parts := culprit.parts():
                self._commit_each(parts)
            else:
                _answer([culprit], refused.error)
            units = units[refused.index + 1 :]
        return None

    def _commit_each(self, units: Sequence[Unit]) -> None:
        for unit in units:
            self._commit([unit])


def _answer(units: Sequence[Unit], error: BaseException | None) -> None:
    for unit in units:
        for loop, tell in unit.answers(error):
            _call(loop, tell)


def _call(loop: asyncio.AbstractEventLoop, tell: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop is closed: nobody waits there any more
        return
