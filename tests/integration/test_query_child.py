"""The process that runs statements, with its allow-list taken away: what it can still reach."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from responder.store.store import Store

WITHOUT_THE_ALLOW_LIST = """
import responder.query.child as child
child.check = lambda tree, sql, tables: None
child.main()
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    Store.open(folder / "1.duckdb").close()
    (folder / "1.duckdb.head").unlink()
    return folder / "1.duckdb"


@pytest.fixture
def run(copy: Path) -> Callable[[str], Mapping[str, Any]]:
    """The last line that the process said; {} where it said nothing."""

    def ran(sql: str) -> Mapping[str, Any]:
        request = {
            "path": str(copy),
            "sql": sql,
            "seconds": 5.0,
            "rows": 10,
            "bytes": 10_000,
            "memory_limit": "64MiB",
            "address_bytes": 256 * 2**20,
        }
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", WITHOUT_THE_ALLOW_LIST],
            input=json.dumps(request).encode(),
            capture_output=True,
            env={},
            cwd="/",
            timeout=60,
            check=False,
        )
        last: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
        return last

    return ran


HOSTILE = [
    "WITH c AS (COPY (SELECT 1) TO '{own}' (FORMAT csv, USE_TMP_FILE false)) SELECT 1",
    "WITH c AS (COPY (SELECT 1) TO '{own}.wal' (FORMAT csv, USE_TMP_FILE false)) SELECT 1",
    "WITH c AS (COPY (SELECT 1) TO '{folder}/new.csv' (FORMAT csv)) SELECT 1",
    "WITH c AS (COPY (SELECT 1) TO '{own}.tmp/new.csv' (FORMAT csv)) SELECT 1",
    "WITH d AS (DELETE FROM incidents RETURNING *) SELECT * FROM d",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/proc/self/environ')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM request",
    "ATTACH '{folder}/other.db'",
    "CREATE TABLE x (a INT)",
    "SET memory_limit = '1TB'",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "EXPORT DATABASE '{folder}/out'",
]
WITHOUT_EFFECT = ["SELECT size FROM read_blob('{own}')", "CHECKPOINT"]
"""The copy is what may be read anyway."""


@pytest.mark.parametrize("sql", HOSTILE)
def test_nothing_is_read_written_or_set_even_so(run: Callable[[str], Mapping[str, Any]], copy: Path, sql: str) -> None:
    before = copy.read_bytes()
    ending = run(sql.format(own=copy, folder=copy.parent))
    assert "done" not in ending, ending
    assert copy.read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


@pytest.mark.parametrize("sql", WITHOUT_EFFECT)
def test_what_is_not_refused_changes_nothing(run: Callable[[str], Mapping[str, Any]], copy: Path, sql: str) -> None:
    before = copy.read_bytes()
    run(sql.format(own=copy))
    assert copy.read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_statement_that_only_waits_is_ended_with_its_time(run: Callable[[str], Mapping[str, Any]]) -> None:
    assert "done" not in run("SELECT sleep_ms(60000)")


def test_the_environment_is_empty(run: Callable[[str], Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOPUS_SECRET", "not to be seen")
    assert "done" not in run("SELECT getenv('CLOPUS_SECRET')")
