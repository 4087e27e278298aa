"""Opening the database file, whatever state it is in.

Three answers: it opens; it is somebody's (locked, newer, another program's, unreadable for now) and stays untouched;
or it is damaged, and is then moved aside together with its write-ahead log, never deleted, so that a new one can start
and say so. A lock, a full disk or a missing right never counts as damage.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from responder.domain.errors import ConfigError, ResponderError, StoreUnavailable
from responder.store.chainhead import ChainHead
from responder.store.connection import Connection, connect
from responder.store.migrate import migrate, refuse_strangers

# The engine gives these causes as text only; its classes do not tell them apart from damage.
_LOCKED = ("Could not set lock", "Conflicting lock")
_ENVIRONMENT = (
    "Permission denied",
    "No space left",
    "Too many open files",
    "Read-only file system",
    "Input/output error",
    "Cannot allocate memory",
    "File too large",
    "Disk quota exceeded",
    "Is a directory",
)
_NEWER_FORMAT = ("version number", "newer version of DuckDB", "storage version")


class Damaged(ResponderError):
    """The file cannot be read as the database it was. Stays within this package."""


@dataclass(frozen=True, kw_only=True)
class OpenOptions:
    memory_limit: str = "128MB"
    threads: int = 1


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def open_file(path: Path, options: OpenOptions, at: datetime) -> Connection:
    """Open and migrate the database at `path`, which need not exist.

    Raises:
        Damaged: see the module.
        ConfigError: the file belongs to another program or a newer release.
        StoreUnavailable: locked, or the environment refuses.
    """
    if not path.exists() and wal_of(path).exists() and wal_of(path).stat().st_size:
        raise Damaged(f"{path} is missing, but its write-ahead log is there")
    try:
        if path.exists():
            _look_before_touching(path, options)
        connection = connect(path, memory_limit=options.memory_limit, threads=options.threads)
        try:
            read_every_block(connection)
            migrate(connection, at)
        except BaseException:
            connection.close()
            raise
    except duckdb.Error as exc:
        raise explain(exc, path) from exc
    return connection


def reopen_file(path: Path, options: OpenOptions) -> Connection:
    """Open a database that this process has had open. Raises StoreUnavailable or Damaged."""
    try:
        return connect(path, memory_limit=options.memory_limit, threads=options.threads)
    except duckdb.Error as exc:
        raise explain(exc, path) from exc


def _look_before_touching(path: Path, options: OpenOptions) -> None:
    """A read-only look: opening for writing would replay the log into a file that has to stay as it is."""
    connection = connect(path, memory_limit=options.memory_limit, threads=options.threads, read_only=True)
    try:
        refuse_strangers(connection, str(path))
    finally:
        connection.close()


def read_every_block(con: Connection) -> None:
    """Read every column of every table: a block whose checksum is wrong has to show now, not in the middle of work.

    About 0.5 s for 200 MB.
    """
    tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    for (table,) in tables:
        con.execute(f'SELECT bit_xor(hash(t)) FROM "{table}" t').fetchall()


def explain(exc: duckdb.Error, path: Path) -> Damaged | StoreUnavailable | ConfigError:
    """What an error at opening means."""
    text = str(exc).strip()
    if any(mark in text for mark in _LOCKED):
        return StoreUnavailable(f"the database is in use: {text}")
    if isinstance(exc, duckdb.OutOfMemoryException) or any(mark in text for mark in _ENVIRONMENT):
        return StoreUnavailable(f"the database cannot be opened: {text}")
    if any(mark in text for mark in _NEWER_FORMAT):
        return ConfigError(path=path, problem=f"written by a newer DuckDB than this one. The file is untouched: {text}")
    return Damaged(text)


def move_aside(path: Path, head_file: ChainHead, at: datetime) -> Path:
    """Rename database and log to `<name>.damaged-<UTC time>...`, the chain head beside them; the database's new place.

    The head file itself stays, locked and ahead of any chain: see `ChainHead.set_aside`.

    Raises:
        StoreUnavailable: the directory refuses; nothing or only a part was moved.
    """
    stem = f"{path.name}.damaged-{at:%Y%m%dT%H%M%SZ}"
    target, count = path.with_name(stem), 1
    while any(target.with_name(target.name + suffix).exists() for suffix in ("", ".wal", ".head")):
        count += 1
        target = path.with_name(f"{stem}-{count}")
    try:
        head_file.set_aside(target.with_name(target.name + ".head"))
        for suffix in ("", ".wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.rename(target.with_name(target.name + suffix))
        _sync_directory(path.parent)
    except OSError as exc:
        raise StoreUnavailable(f"{path} is damaged and cannot be moved aside: {exc.strerror}") from exc
    return target


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
