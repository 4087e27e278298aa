"""A disk that refuses: nothing is acknowledged, reads go on, and the store comes back by itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from responder.domain.errors import StoreUnavailable
from responder.store import audit
from responder.store.audit import AuditHead
from responder.store.store import Connection, Store

T0 = datetime(2026, 3, 1, tzinfo=UTC)

# In a process of its own: the limit on file sizes stands for a full disk and holds for the whole process.
_CHILD = """
import asyncio, json, resource, sys, time
from datetime import UTC, datetime
from responder.domain.errors import StoreUnavailable
from responder.store import audit
from responder.store.store import Store

T0 = datetime(2026, 3, 1, tzinfo=UTC)

def append(con):
    return audit.append(con, at=T0, actor="t", event="e", detail="x" * 20_000).seq

async def main():
    store, acknowledged, refused = Store.open(sys.argv[1]), [], 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    while refused < 3:
        try:
            acknowledged.append(await store.write(append))
        except StoreUnavailable as exc:
            refused, problem = refused + 1, str(exc)
    readable = bool(store.problem)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    deadline, again = time.monotonic() + 40, 0
    while not again and time.monotonic() < deadline:
        try:
            again = await store.write(append)
        except StoreUnavailable as exc:
            await asyncio.sleep(min(exc.delay_seconds, 0.2))
    stored = await store.read(lambda con: con.execute("SELECT seq FROM audit ORDER BY seq").fetchall())
    report = await store.read(lambda con: audit.verify(con, store.remembered_head()))
    print(json.dumps({"acknowledged": acknowledged, "again": again, "problem": problem, "known": readable,
                      "stored": [s for (s,) in stored], "ok": report.ok, "left": store.problem}))
    store.close()

asyncio.run(main())
"""


@pytest.mark.inv(2, 18)
def test_full_disk_refuses_acknowledges_nothing_lost_and_heals(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "clopus.duckdb")],
        capture_output=True,
        text=True,
        timeout=100,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["known"]
    assert "failed" in said["problem"]
    assert said["again"] > max(said["acknowledged"])
    assert set(said["acknowledged"]) | {said["again"]} <= set(said["stored"])
    assert (said["ok"], said["left"]) == (True, "")
    assert "leaked" not in done.stderr


TOO_MUCH = "SELECT list(range) FROM range(50_000_000)"


def run_out_of_memory(con: Connection) -> object:
    return con.execute(TOO_MUCH).fetchone()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "clopus.duckdb", memory_limit="32MB") as store:
        yield store


@pytest.mark.inv(18)
async def test_read_that_runs_out_of_memory_says_that_the_store_is_unavailable(small: Store) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be read") as caught:
        await small.read(run_out_of_memory)
    assert isinstance(caught.value.__cause__, duckdb.OutOfMemoryException)
    assert await small.read(audit.head) == AuditHead()


@pytest.mark.inv(18)
async def test_write_that_runs_out_of_memory_fails_alone_and_keeps_nothing(small: Store) -> None:
    def greedy(con: Connection) -> object:
        audit.append(con, at=T0, actor="t", event="greedy")
        return run_out_of_memory(con)

    async with asyncio.TaskGroup() as group:
        failed = group.create_task(outcome(small.write(greedy)))
        kept = group.create_task(small.write(lambda con: audit.append(con, at=T0, actor="t", event="modest").event))
    assert isinstance(failed.result(), StoreUnavailable)
    assert isinstance(failed.result().__cause__, duckdb.OutOfMemoryException)
    assert kept.result() == "modest"
    assert [record.event for record in await small.read(audit.page)] == ["modest"]


@pytest.mark.parametrize("sql", ["SELECT nonsense FROM nowhere", "SELECT 'x'::INTEGER", "no sql"])
async def test_fault_of_a_job_or_query_reaches_its_caller_as_it_is(small: Store, sql: str) -> None:
    for ask in (small.read, small.write):
        with pytest.raises((duckdb.ProgrammingError, duckdb.DataError)):
            await ask(lambda con: con.execute(sql).fetchall())


async def outcome(work: Awaitable[object]) -> BaseException:
    with pytest.raises(StoreUnavailable) as caught:
        await work
    return caught.value
