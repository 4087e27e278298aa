"""The schema and how it grows: numbered SQL files, each applied once, in a transaction of its own, with its checksum.

A database that a newer release has written is refused as it stands: nothing here ever takes a step back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from responder.domain.errors import ConfigError
from responder.store.connection import Connection
from responder.store.rows import to_timestamp

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER   NOT NULL,
    name       VARCHAR   NOT NULL,
    checksum   VARCHAR   NOT NULL,
    applied_at TIMESTAMP NOT NULL
)
"""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """`sql/NNNN_name.sql`."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def shipped() -> tuple[Migration, ...]:
    """The migrations of this release, oldest first."""
    found = []
    for entry in files("responder.store").joinpath("sql").iterdir():
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        if entry.name.endswith(".sql"):
            found.append(Migration(version=int(number), name=name, sql=entry.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))


def refuse_strangers(con: Connection, path: str) -> None:
    """Check that the database is one that this release can work on. Reads only.

    Raises:
        ConfigError: another program's database, a newer release's, or one whose migrations were altered.
    """
    tables = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()}
    if not tables:
        return
    if "schema_migrations" not in tables:
        problem = "a DuckDB database of another program; point database.path at a file of its own"
        raise ConfigError(path=path, problem=problem)
    known = {migration.version: migration for migration in shipped()}
    newest = max(known)
    for version, name, checksum in _applied(con):
        if version > newest:
            problem = (
                f"its schema has version {version} ({name}), this release knows {newest}; "
                "start the newer release again, or restore the backup made before the upgrade. The file is untouched"
            )
            raise ConfigError(path=path, problem=problem)
        if known[version].checksum != checksum:
            problem = (
                f"migration {version} ({name}) was applied in another wording than this release ships; "
                "start the release that wrote the database, or restore a backup. The file is untouched"
            )
            raise ConfigError(path=path, problem=problem)


def migrate(con: Connection, at: datetime) -> tuple[int, ...]:
    """Apply what is missing; the versions applied. Raises `duckdb.Error` with the failed one rolled back."""
    con.execute(_LEDGER)
    done = {version for version, _, _ in _applied(con)}
    missing = tuple(migration for migration in shipped() if migration.version not in done)
    for migration in missing:
        con.execute("BEGIN TRANSACTION")
        con.execute(migration.sql)
        con.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            [migration.version, migration.name, migration.checksum, to_timestamp(at)],
        )
        con.execute("COMMIT")
    return tuple(migration.version for migration in missing)


def _applied(con: Connection) -> list[tuple[int, str, str]]:
    return con.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version").fetchall()
