"""Statements, one after the other, each in a process of its own that is ended when it takes too long or says too much.

What the child says is counted here again: it runs somebody else's statement and may no longer be itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import orjson

from responder.domain.errors import PermanentError, QueueFull, StoreUnavailable
from responder.domain.manifest import Json
from responder.domain.views import Column, QueryAnswer
from responder.query.copies import Copies, Copy
from responder.query.statement import StatementRefused
from responder.telemetry import Metrics, get_logger

log = get_logger("query")

_COMMAND = (sys.executable, "-I", "-B", "-m", "responder.query.child")
_START_SECONDS = 15.0
"""For the process to come up on a busy machine, beyond what the statement may take."""
_PIECE_BYTES = 64 * 1024
_HEAD_BYTES = 256 * 1024
"""For columns and ending, beyond the rows."""
_ADDRESS_FACTOR = 4
"""Address space of the process, in memory of the engine: not everything that the engine takes counts there."""
_OUT_OF_TIME = (-signal.SIGALRM, -signal.SIGXCPU)


class StatementTooLarge(PermanentError):
    """The statement needs more time or memory than one may take. The same one would again."""


@dataclass(frozen=True, kw_only=True)
class QueryLimits:
    seconds: float = 10.0
    rows: int = 10_000
    bytes: int = 4 * 2**20
    memory_mib: int = 64
    """Of the engine; the process takes a few times as much at the most."""
    waiting: int = 4
    """Statements that may wait for the one that runs; more are asked to come again."""


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What a child wrote, as far as it came."""

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Json, ...], ...] = ()
    ending: Mapping[str, Json] | None = None
    cut_off: bool = False
    """It said more than it may."""
    late: bool = False
    """It was not over when it had to be."""
    code: int = 0
    """As `Popen.returncode`."""


class Queries:
    def __init__(self, copies: Copies, limits: QueryLimits, metrics: Metrics) -> None:
        self._copies = copies
        self._limits = limits
        self._metrics = metrics
        self._one = asyncio.Lock()
        self._waiting = 0
        self._closed = False
        self._process: asyncio.subprocess.Process | None = None

    async def answer(self, sql: str) -> QueryAnswer:
        """The rows of one SELECT. Cancelling it ends the process.

        Raises:
            StatementRefused: it is something else, or not SQL that DuckDB understands; the text names it.
            StatementTooLarge: it came to no row within what one statement may take.
            QueueFull: too many wait already.
            StoreUnavailable: there is no copy to run it on.
        """
        started = time.monotonic()
        try:
            found = await self._in_turn(sql)
        except asyncio.CancelledError:
            self._metrics.queries.labels(outcome="given_up").inc()
            raise
        except (StatementRefused, StatementTooLarge, QueueFull, StoreUnavailable) as exc:
            self._metrics.queries.labels(outcome=_OUTCOMES[type(exc)]).inc()
            raise
        self._metrics.queries.labels(outcome="truncated" if found.truncated else "answered").inc()
        self._metrics.query_seconds.observe(time.monotonic() - started)
        return found

    def close(self) -> None:
        """End what runs, and leave no copy behind."""
        self._closed = True
        if self._process is not None:
            _kill(self._process)
        self._copies.close()

    async def _in_turn(self, sql: str) -> QueryAnswer:
        if self._waiting > self._limits.waiting:
            raise QueueFull(f"{self._waiting} statements run or wait already", delay_seconds=self._limits.seconds)
        self._waiting += 1
        try:
            async with self._one:
                if self._closed:
                    raise StoreUnavailable("the responder is stopping")
                copy = await self._copies.borrow()
                try:
                    return self._told(await self._run(copy, sql), copy)
                finally:
                    self._copies.give_back()
        finally:
            self._waiting -= 1

    async def _run(self, copy: Copy, sql: str) -> _Said:
        limits = self._limits
        request = {
            "path": str(copy.path),
            "sql": sql,
            "seconds": limits.seconds,
            "rows": limits.rows,
            "bytes": limits.bytes,
            "memory_limit": f"{limits.memory_mib}MiB",
            "address_bytes": _ADDRESS_FACTOR * limits.memory_mib * 2**20,
        }
        self._process = process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        said, late = bytearray(), False
        try:
            async with asyncio.timeout(limits.seconds + _START_SECONDS):
                await _listen(process, json.dumps(request).encode(), said, limits.bytes + _HEAD_BYTES)
        except TimeoutError:
            late = True
        finally:
            await _end(process)
            self._process = None
        understood = await asyncio.to_thread(_understood, bytes(said), limits)
        code = process.returncode or 0
        return replace(understood, late=late or code in _OUT_OF_TIME, code=code)

    def _told(self, said: _Said, copy: Copy) -> QueryAnswer:
        ending = said.ending or {}
        if "refused" in ending:
            raise StatementRefused(str(ending["refused"]))
        if "failed" in ending:
            if self._closed:
                raise StoreUnavailable("the responder is stopping")
            log.warning("the copy of the record cannot be read", problem=str(ending["failed"]))
            raise StoreUnavailable("the copy of the record cannot be read: the log of the responder says why")
        if "too_large" in ending:
            raise StatementTooLarge(
                f"the statement needs more memory than query.memory_mib ({self._limits.memory_mib}) gives: "
                "narrow it with WHERE, sort or collect fewer rows, select fewer columns"
            )
        truncated = self._truncated(said)
        seconds = ending.get("seconds")
        return QueryAnswer(
            columns=said.columns,
            rows=said.rows,
            truncated=truncated,
            seconds=seconds if isinstance(seconds, float) else self._limits.seconds,
            as_of=copy.as_of,
        )

    def _truncated(self, said: _Said) -> str:
        """Raises StatementTooLarge where there is nothing to show."""
        limits, reason = self._limits, (said.ending or {}).get("truncated")
        if said.cut_off or reason == "bytes":
            return f"cut off at {limits.bytes} bytes (query.bytes): select fewer columns, or shorten texts with left()"
        if reason == "rows":
            return f"cut off at {limits.rows} rows (query.rows): narrow it with WHERE, or group"
        if said.ending is not None:
            return ""
        if self._closed:
            raise StoreUnavailable("the responder is stopping")
        if said.late:
            if said.rows:
                return f"cut off after {limits.seconds:g} s (query.seconds): these rows had come by then"
            raise StatementTooLarge(
                f"the statement came to no answer within {limits.seconds:g} s (query.seconds): narrow it with WHERE, "
                "join fewer rows"
            )
        if said.code > 0:
            log.error("the process for statements does not run", code=said.code)
            raise StoreUnavailable(f"statements cannot be run here: their process ended with status {said.code}")
        log.warning("a statement brought its process down", code=said.code)
        raise StatementTooLarge("the statement brought the process down that ran it: make it smaller or less nested")


_OUTCOMES: Mapping[type[Exception], str] = {
    StatementRefused: "refused",
    StatementTooLarge: "too_large",
    QueueFull: "busy",
    StoreUnavailable: "unavailable",
}


async def _listen(process: asyncio.subprocess.Process, request: bytes, said: bytearray, most: int) -> None:
    """Until it ends, or has said `most` bytes."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):
        process.stdin.write(request)
        await process.stdin.drain()
        process.stdin.close()
    while len(said) < most and (piece := await process.stdout.read(_PIECE_BYTES)):
        said.extend(piece)
    if len(said) < most:
        await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    _kill(process)
    # Whatever is left in the pipe has to be taken, or the end of the process is never told.
    while await process.stdout.read(_PIECE_BYTES):
        pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _understood(said: bytes, limits: QueryLimits) -> _Said:
    """A last line without its end is left out."""
    cut_off = len(said) >= limits.bytes + _HEAD_BYTES
    lines = said.split(b"\n")[:-1]
    columns: tuple[Column, ...] = ()
    ending: Mapping[str, Json] | None = None
    try:
        if lines and lines[0].startswith(b'{"columns"'):
            columns = tuple(Column(**column) for column in orjson.loads(lines.pop(0))["columns"])
        if lines and lines[-1].startswith(b"{"):
            ending = orjson.loads(lines.pop())
        rows = orjson.loads(b"[" + b",".join(lines[: limits.rows]) + b"]")
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return _Said()
    return _Said(columns=columns, rows=tuple(map(tuple, rows)), ending=ending, cut_off=cut_off)
