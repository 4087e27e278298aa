"""`python -m responder.query.child`: one statement on one copy of the record, then gone.

It reads a `Request` from stdin as JSON and writes JSON lines: the columns, one line per row, and last how it ended.
Nothing that the statement can do is left to reach: the environment is empty, the copy is open for reading only and no
other file can be opened or grown, memory, time and depth are bounded by the kernel. The statement may still bring this
process down; `runner` expects that, counts again what comes out, and kills the process when the time is over.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

import duckdb
import orjson

from responder.domain.views import WITHHELD_COLUMNS
from responder.query.statement import StatementRefused, check

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_BATCH = 200
"""Rows fetched at a time: those written are not lost when the next ones take too long."""
_DEPTH = 20_000
_EXACT = 2**63
_HELD_BYTES = 48
"""Of a list or an object beyond its text: the responder holds it, and an empty one is written in two characters."""
_NOT_PYTHONS = ("WITH TIME ZONE", "INTERVAL")
_LONGEST = 2000
"""Characters of what the engine says about a statement."""


@dataclass(frozen=True, kw_only=True)
class Request:
    path: str
    sql: str
    seconds: float
    rows: int
    bytes: int
    memory_limit: str
    address_bytes: int
    """Of address space beyond what the process has when the copy is open."""


def main() -> None:
    request = Request(**json.loads(sys.stdin.buffer.read()))
    _bound_time(request.seconds)
    sys.setrecursionlimit(_DEPTH)
    try:
        ending = _run(request)
    except StatementRefused as exc:
        ending = {"refused": str(exc)}
    except (MemoryError, duckdb.OutOfMemoryException):
        ending = {"too_large": "memory"}
    except RecursionError:
        ending = {"refused": "the statement is nested too deeply"}
    except (orjson.JSONEncodeError, OverflowError):
        ending = {"refused": "a value has no form here: cast it to VARCHAR, or take it apart"}
    except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException) as exc:
        ending = {"failed": str(exc)}
    except duckdb.Error as exc:
        ending = {"refused": _told(exc)}
    _write(ending)
    # What DuckDB holds needs no orderly end, and an orderly end could fail under these limits.
    os._exit(0)


def _run(request: Request) -> Json:
    connection = _open(request)
    _bound_space(request.address_bytes)
    statement = _admitted(connection, request.sql)
    started = time.monotonic()
    cursor = connection.execute(_with_plain_types(connection, statement))
    _write({"columns": [{"name": str(name), "type": str(kind)} for name, kind, *_ in cursor.description or ()]})
    written = 0
    for number, row in enumerate(_rows(cursor)):
        cells = [_plain(cell) for cell in row]
        line = orjson.dumps(cells)
        written += len(line) + 1 + _HELD_BYTES * _held(cells)
        if number == request.rows or written > request.bytes:
            return {"truncated": "rows" if number == request.rows else "bytes", "seconds": time.monotonic() - started}
        sys.stdout.buffer.write(line + b"\n")
        if number % _BATCH == 0:
            sys.stdout.buffer.flush()
    return {"done": True, "seconds": time.monotonic() - started}


def _open(request: Request) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        request.path,
        read_only=True,
        config={
            "memory_limit": request.memory_limit,
            "threads": "1",
            "enable_external_access": "false",
            "temp_directory": "",
            "max_temp_directory_size": "0B",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",  # an unknown table would be looked up among Python's variables
        },
    )
    _withhold(connection)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET streaming_buffer_size = '16KB'")  # rows as they come, not a megabyte of them at a time
    connection.execute("SET lock_configuration = true")
    return connection


def _withhold(connection: duckdb.DuckDBPyConnection) -> None:
    """Views that come before the tables of their name, which are reached with the catalogue's name only."""
    found = connection.execute("SELECT current_database()").fetchone()
    catalogue = _quoted(str(found[0])) if found else ""
    for table, columns in WITHHELD_COLUMNS.items():
        connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT * EXCLUDE ({', '.join(columns)}) FROM {catalogue}.main.{table}"
        )


def _admitted(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """`sql` without what stands after the statement. Raises StatementRefused."""
    found = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND schema_name = 'main' "
        "UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
    ).fetchall()
    check(json.loads(found[0]) if found else None, sql, {str(name).lower() for (name,) in tables})
    (statement,) = connection.extract_statements(sql)
    return statement.query.strip().rstrip(";")


def _with_plain_types(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Python is not given times with a zone, it would need a library of time zones to take them, and no intervals: it
    knows no months."""
    found = connection.sql(sql)
    kinds = [str(kind) for kind in found.types]
    if not any(other in kind for kind in kinds for other in _NOT_PYTHONS):
        return sql
    places = ", ".join(f"c{number}" for number in range(len(kinds)))
    picked = ", ".join(
        f"{_plain_type(f'c{number}', kind)} AS {_quoted(name)}"
        for number, (name, kind) in enumerate(zip(found.columns, kinds, strict=True))
    )
    return f"SELECT {picked} FROM (\n{sql}\n) AS answer({places})"


def _plain_type(column: str, kind: str) -> str:
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {column})"
    return f"CAST({column} AS VARCHAR)" if any(other in kind for other in _NOT_PYTHONS) else column


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[Sequence[object]]:
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _plain(cell: object) -> Json:
    """As JSON says it: times are RFC 3339 in UTC, numbers are numbers, and what JSON does not know is text."""
    match cell:
        case None | bool() | str():
            return cell
        case int():
            return cell if -_EXACT <= cell < _EXACT else str(cell)
        case float() | Decimal():
            number = float(cell)
            return number if number - number == 0 else str(cell)
        case datetime():
            naive = cell.astimezone(UTC).replace(tzinfo=None) if cell.tzinfo else cell
            return f"{naive.isoformat(timespec='microseconds')}Z"
        case date() | time_of_day():
            return cell.isoformat()
        case list() | tuple():
            return [_plain(item) for item in cell]
        case dict():
            return {str(key): _plain(item) for key, item in cell.items()}
        case bytes():
            return cell.hex()
    return str(cell)


def _held(value: Json) -> int:
    """Lists and objects inside."""
    match value:
        case list():
            return sum(1 + _held(item) for item in value if isinstance(item, list | dict))
        case dict():
            return sum(1 + _held(item) for item in value.values() if isinstance(item, list | dict))
    return 0


def _told(exc: duckdb.Error) -> str:
    text = str(exc).strip()
    return "the statement is nested too deeply" if "max_expression_depth" in text else text[:_LONGEST]


def _write(line: Json) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def _bound_time(seconds: float) -> None:
    """Ends this process even where nobody is left to kill it: SIGALRM and SIGXCPU are left to the kernel."""
    os.nice(10)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where memory does run out, this process shall be the one that the kernel ends.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _bound_space(address_bytes: int) -> None:
    """After this no file can be opened, and no more than `address_bytes` be asked for."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + address_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    main()
