"""The connection that jobs and queries are given, and its settings.

In the responder `duckdb` is imported by this package only; the process that runs operators' statements has its own.
Settings: https://duckdb.org/docs/stable/configuration/overview
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import duckdb

Connection: TypeAlias = duckdb.DuckDBPyConnection

MEMORY = ":memory:"


def connect(path: str | Path, *, memory_limit: str, threads: int, read_only: bool = False) -> Connection:
    """Open the database. Raises `duckdb.Error` as it comes: `opening` knows what each kind means."""
    connection = duckdb.connect(
        str(path),
        read_only=read_only,
        config={
            "memory_limit": memory_limit,
            "threads": str(threads),
            "preserve_insertion_order": "false",  # lets large inserts and scans run in little memory
            "wal_autocheckpoint": "64MB",  # at the default of 16 MB checkpoints make one commit in a hundred slow
            "enable_external_access": "false",  # the database's own file stays readable and writable
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    connection.execute("SET lock_configuration = true")
    return connection
