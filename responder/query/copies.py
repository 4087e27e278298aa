"""The copy of the record that statements read: one at a time, shared by those that come soon after each other.

A copy is made between two commits and the writer waits for it, so there are as few as the age that readers accept
allows. It lies beside the database, readable by nobody else, and is gone when it is too old, when the responder stops
and when it starts again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from responder.domain.errors import StoreUnavailable
from responder.telemetry import get_logger

log = get_logger("query")

KEEP_SECONDS = 10.0
"""How old a copy may be when a statement begins on it."""
PAUSE_FACTOR = 20
"""A copy of a large record is kept longer: this many times what it took, so that commits rarely wait for one."""
RESERVE_BYTES = 64 * 2**20
"""That a copy leaves free on the volume: the record itself must still grow."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    path: Path
    as_of: datetime


class Copies:
    """Not for use by two statements at once: `runner` asks for one after the other."""

    def __init__(
        self,
        database: Path | None,
        copy_to: Callable[[Path], Awaitable[None]],
        *,
        now: Callable[[], datetime],
        keep_seconds: float = KEEP_SECONDS,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """`copy_to` writes a consistent copy of `database`, which is None in memory, to a path that does not exist."""
        self._database = database
        self._copy_to = copy_to
        self._now = now
        self._keep_seconds = keep_seconds
        self._reserve_bytes = reserve_bytes
        self._folder = None if database is None else database.with_name(database.name + ".query")
        self._number = 0
        self._current: Copy | None = None
        self._making: asyncio.Task[Copy] | None = None
        self._keep_until = 0.0
        self._in_use = False
        self._closed = False
        self._expiry: asyncio.TimerHandle | None = None
        self._remove_folder()

    async def borrow(self) -> Copy:
        """A copy that is at most `keep_seconds` old, or `PAUSE_FACTOR` times what it took; `give_back` it.

        Raises:
            StoreUnavailable: it cannot be made: no room, the store failed, or the record is in memory only.
        """
        self._in_use = True
        try:
            if self._current is not None and time.monotonic() > self._keep_until:
                await self._drop()
            if self._current is not None:
                return self._current
            if self._making is None:
                self._making = asyncio.create_task(self._make())
                self._making.add_done_callback(self._made)
            # Whoever waits may give up, the writer does not: the copy is for the next, and never nobody's.
            return await asyncio.shield(self._making)
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        self._in_use = False
        self._expire_later()

    def close(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._current, self._closed = None, True
        self._remove_folder()

    def _made(self, making: asyncio.Task[Copy]) -> None:
        self._making = None
        if making.cancelled() or making.exception() is not None:
            return
        self._current = making.result()
        if self._closed:
            self._remove_folder()
        else:
            self._expire_later()

    async def _make(self) -> Copy:
        if self._folder is None or self._database is None:
            raise StoreUnavailable(
                "the record is in memory only (store.path is :memory:): statements need one in a file"
            )
        await asyncio.to_thread(self._prepare, self._folder, self._database)
        self._number += 1
        path, as_of = self._folder / f"{self._number}.duckdb", self._now()
        began = time.monotonic()
        try:
            await self._copy_to(path)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        ended = time.monotonic()
        self._keep_until = ended + max(self._keep_seconds, PAUSE_FACTOR * (ended - began))
        return Copy(path=path, as_of=as_of)

    def _prepare(self, folder: Path, database: Path) -> None:
        """Refuse a copy that would take the last of the volume: then the record could not be written to."""
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            wal = database.with_name(database.name + ".wal")
            log_bytes = wal.stat().st_size if wal.exists() else 0
            # The log goes into the file before that is copied, so it is needed there and in the copy.
            needed = database.stat().st_size + 2 * log_bytes + self._reserve_bytes
            free = shutil.disk_usage(folder).free
        except OSError as exc:
            raise StoreUnavailable(f"no copy of the record can be made for the statement: {exc.strerror}") from exc
        if free < needed:
            raise StoreUnavailable(
                f"no room for a copy of the record: it needs {_mib(needed)} beside the database, {_mib(free)} are free",
                delay_seconds=60.0,
            )

    def _expire_later(self) -> None:
        if self._expiry is None and self._current is not None:
            left = self._keep_until - time.monotonic()
            self._expiry = asyncio.get_running_loop().call_later(max(left, 0.0), self._expired)

    def _expired(self) -> None:
        self._expiry = None
        if self._in_use or self._current is None:
            return
        if time.monotonic() < self._keep_until:
            self._expire_later()
            return
        path, self._current = self._current.path, None
        _unlink(path)

    async def _drop(self) -> None:
        if self._current is not None:
            path, self._current = self._current.path, None
            await asyncio.to_thread(_unlink, path)

    def _remove_folder(self) -> None:
        """Also what a crash left."""
        if self._folder is not None and self._folder.exists():
            shutil.rmtree(self._folder, onerror=_could_not)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        log.warning("a copy of the record is left over", path=str(path), problem=str(exc))


def _could_not(_function: object, path: str, _error: object) -> None:
    if os.path.exists(path):
        log.warning("a copy of the record is left over", path=path)


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
