"""One open database: its connections, its transactions, and coming back after the storage failed.

The writer thread alone calls `ready` and `transaction`; readers run on threads of their own. After a failure of the
storage (a full disk, an I/O error, an instance that the engine has given up) every connection is closed, the file is
opened again with a growing pause, and the chain is verified before anything is committed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import duckdb

from responder.domain.audit import AuditHead
from responder.domain.errors import ConfigError, StoreUnavailable
from responder.domain.manifest import Json
from responder.domain.rule import Mode
from responder.store import arrivals, audit, modes
from responder.store.chainhead import ChainHead
from responder.store.connection import MEMORY, Connection, connect
from responder.store.intake import Cursor, Unit
from responder.store.migrate import migrate
from responder.store.opening import Damaged, OpenOptions, move_aside, open_file, reopen_file
from responder.telemetry import get_logger

T = TypeVar("T")
log = get_logger(__name__)

READERS = 2
_PAUSE_FIRST, _PAUSE_LAST = 0.2, 30.0  # seconds between attempts to open the file again

_STORAGE_ERRORS = (duckdb.FatalException, duckdb.IOException, duckdb.InternalException, duckdb.ConnectionException)
"""After these the instance cannot be trusted to write anything."""

_OWN_FAULTS = (duckdb.ProgrammingError, duckdb.DataError, duckdb.IntegrityError, duckdb.NotSupportedError)
"""What a job or query brings upon itself. Every other error of the engine, as too little memory, is the store's."""


@dataclass(frozen=True)
class Refused:
    """A unit that raised. Nothing of its transaction was committed."""

    index: int
    error: BaseException


class Database:
    def __init__(
        self, root: Connection, *, path: Path | None, head_file: ChainHead | None, options: OpenOptions
    ) -> None:
        self.path = path
        self.quarantined: Path | None = None
        self.lost_tail = False
        self.problem = ""
        """Why nothing can be committed; '' when all is well."""
        self._options = options
        self._head_file = head_file
        self._cursor = Cursor(head=AuditHead(), next_alert=1)
        self._usable = True
        self._pause = 0.0
        self._retry_at = 0.0
        self._connect(root)

    @classmethod
    def open(cls, path: Path | None, options: OpenOptions, clock: Callable[[], datetime]) -> Database:
        """See `Store.open`. None is an in-memory database."""
        try:
            if path is None:
                root = connect(MEMORY, memory_limit=options.memory_limit, threads=options.threads)
                migrate(root, clock())
                return cls(root, path=None, head_file=None, options=options)
            if not path.parent.is_dir():
                raise ConfigError(path=path, problem=f"the directory {path.parent} does not exist")
            head_file = ChainHead.open(path.with_name(path.name + ".head"))
            try:
                return cls._open(path, head_file, options, clock)
            except BaseException:
                head_file.close()
                raise
        except (duckdb.Error, OSError) as exc:
            raise StoreUnavailable(f"the database cannot be opened: {exc}") from exc

    @classmethod
    def _open(cls, path: Path, head_file: ChainHead, options: OpenOptions, clock: Callable[[], datetime]) -> Database:
        remembered, quarantined, damage = head_file.read(), None, ""
        try:
            root = open_file(path, options, clock())
        except Damaged as exc:
            damage, quarantined = str(exc), move_aside(path, head_file, clock())
            root = open_file(path, options, clock())
        database = cls(root, path=path, head_file=head_file, options=options)
        database.quarantined = quarantined
        try:
            database._begin(clock(), damage, remembered)
        except BaseException:
            database._disconnect()
            raise
        return database

    def ready(self) -> None:
        """Open the file again where it failed.

        Raises:
            StoreUnavailable: it is too early to try, or the attempt failed.
        """
        if self._usable:
            return
        wait = self._retry_at - time.monotonic()
        if wait > 0 or self.path is None:
            raise StoreUnavailable(self.problem, delay_seconds=max(wait, 1.0))
        self._disconnect()
        try:
            self._connect(reopen_file(self.path, self._options))
            self._usable = True
            report = audit.verify(self._writer, self.remembered_head())
        except (duckdb.Error, OSError, Damaged, ConfigError, StoreUnavailable) as exc:
            raise self._failed(exc) from exc
        if not report.ok:
            self.lost_tail = True
            raise self._failed(StoreUnavailable(f"the audit chain does not hold: {report.problem}"))
        log.warning("database opened again", path=str(self.path), after=self.problem)

    def transaction(self, units: Sequence[Unit]) -> Refused | None:
        """Commit all units, or none: then the answer says which of them raised.

        Raises:
            StoreUnavailable: the storage failed. Whether the units were committed is unknown.
        """
        cursor = Cursor(head=self._cursor.head, next_alert=self._cursor.next_alert)
        done = 0
        try:
            self._writer.execute("BEGIN TRANSACTION")
            for unit in units:
                unit.perform(self._writer, cursor)
                done += 1
            if cursor.head_moved:
                cursor.head, cursor.head_moved = audit.head(self._writer), False
        except _STORAGE_ERRORS as exc:
            raise self._failed(exc) from exc
        except Exception as exc:  # noqa: BLE001 - whatever a job raises belongs to its caller, who gets it
            self._roll_back()
            return Refused(index=done, error=_translated(exc))
        try:
            self._writer.execute("COMMIT")
            if self._head_file is not None and cursor.head != self._cursor.head:
                self._head_file.write(cursor.head)
        except (duckdb.Error, OSError) as exc:
            raise self._failed(exc) from exc
        self._cursor = cursor
        self.problem, self._pause = "", 0.0
        return None

    def query(self, query: Callable[[Connection], T]) -> T:
        """On a reader thread: run `query` in a read-only transaction. Raises StoreUnavailable, or what `query` does."""
        try:
            connection = self._reader()
            connection.execute("BEGIN TRANSACTION READ ONLY")
            try:
                return query(connection)
            finally:
                connection.execute("ROLLBACK")
        except _OWN_FAULTS:
            raise
        except duckdb.Error as exc:
            raise StoreUnavailable(f"the database cannot be read: {exc}") from exc

    def snapshot(self, target: Path) -> None:
        """On the writer thread: a consistent copy of the file. Raises StoreUnavailable."""
        if self.path is None:
            raise StoreUnavailable("an in-memory database has no file to copy")
        try:
            self._writer.execute("CHECKPOINT")
            with self.path.open("rb") as source, target.open("xb") as copy:
                while chunk := source.read(1 << 20):
                    copy.write(chunk)
        except (duckdb.Error, OSError) as exc:
            raise StoreUnavailable(f"the database cannot be copied: {exc}") from exc

    def size(self) -> int | None:
        """Bytes of the file and its write-ahead log; None in memory. Raises OSError."""
        if self.path is None:
            return None
        log_path = self.path.with_name(f"{self.path.name}.wal")
        try:
            log_bytes = log_path.stat().st_size
        except FileNotFoundError:  # right after a checkpoint there is none
            log_bytes = 0
        return self.path.stat().st_size + log_bytes

    def remembered_head(self) -> AuditHead | None:
        return self._head_file.read() if self._head_file is not None else None

    def close(self) -> None:
        self._disconnect()
        if self._head_file is not None:
            self._head_file.close()
            self._head_file = None

    def _connect(self, root: Connection) -> None:
        self._root = root
        self._writer = root.cursor()
        self._cursor = Cursor(head=audit.head(self._writer), next_alert=arrivals.last_seq(self._writer) + 1)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._cursors: list[Connection] = []
        self.readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="store-reader")

    def _disconnect(self) -> None:
        """Waits for the reads that run: an instance that any connection holds is handed out again, failed or not."""
        self.readers.shutdown(wait=True)
        for connection in (*self._cursors, self._writer, self._root):
            connection.close()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with self._lock:
                connection = self._local.connection = self._root.cursor()
                self._cursors.append(connection)
        return connection

    def _roll_back(self) -> None:
        try:
            self._writer.execute("ROLLBACK")
        except duckdb.Error as exc:
            raise self._failed(exc) from exc

    def _failed(self, exc: Exception) -> StoreUnavailable:
        self._usable = False
        self.problem = f"the database failed: {exc}".strip()
        self._pause = min(max(2 * self._pause, _PAUSE_FIRST), _PAUSE_LAST)
        self._retry_at = time.monotonic() + self._pause
        log.error("database failed", problem=self.problem, again_in_seconds=self._pause)
        return StoreUnavailable(self.problem, delay_seconds=self._pause)

    def _begin(self, at: datetime, damage: str, remembered: AuditHead | None) -> None:
        """Compare the chain with the head outside, and put on record what is wrong.

        Raises:
            duckdb.Error, OSError: the database or the head cannot be read or written.
        """
        facts: Json = {"remembered": remembered, "found": self._cursor.head}
        if self.quarantined is not None:
            facts = {**facts, "moved_to": str(self.quarantined), "problem": damage}
            reason = f"the database was damaged and is kept at {self.quarantined}; a new one was started"
            self._record_damage(at, "database_quarantined", facts, reason)
        elif not self._continues(remembered):
            self.lost_tail = True
            reason = "the database ends before the last committed record: restored from an old copy?"
            self._record_damage(at, "database_tail_lost", facts, reason)
        if self._head_file is not None:
            self._head_file.write(self._cursor.head)

    def _record_damage(self, at: datetime, event: str, facts: Json, reason: str) -> None:
        """The record and what follows from it, report mode, in one transaction: once the head outside fits the shorter
        chain, nothing else tells a later start."""
        self._writer.execute("BEGIN TRANSACTION")
        record = audit.append(self._writer, at=at, actor="clopus", event=event, subject=str(self.path), detail=facts)
        brakes = modes.get(self._writer)
        modes.put(self._writer, replace(brakes, ceiling=Mode.REPORT, reason=reason, set_by="clopus"))
        self._writer.execute("COMMIT")
        self._cursor.head = AuditHead(seq=record.seq, digest=record.digest)

    def _continues(self, remembered: AuditHead | None) -> bool:
        """Does the chain hold the record that the head outside names? No head at all fits an empty chain only."""
        if remembered is None or remembered == AuditHead():
            return remembered is not None or self._cursor.head == AuditHead()
        row = self._writer.execute("SELECT digest FROM audit WHERE seq = ?", [remembered.seq]).fetchone()
        return row is not None and row[0] == remembered.digest


def _translated(error: Exception) -> Exception:
    """What the caller of a job is told: an error of the engine that is not the job's fault is the store's."""
    if not isinstance(error, duckdb.Error) or isinstance(error, _OWN_FAULTS):
        return error
    unavailable = StoreUnavailable(f"the database could not do it: {error}")
    unavailable.__cause__ = error
    return unavailable
