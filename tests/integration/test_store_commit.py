"""Group commit on a real file: who is answered when, and what a failing neighbour costs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from responder.domain.alert import Alert, AlertStatus, Delivery, QuarantinedAlert
from responder.domain.errors import NotFound, QueueFull, StoreUnavailable
from responder.store import alerts, audit, incidents
from responder.store.store import Connection, Store

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def alert(number: int) -> Alert:
    labels = {"alertname": "A", "namespace": "shop"}
    return Alert(fingerprint=f"{number:016x}", status=AlertStatus.FIRING, labels=labels, starts_at=T0)


def delivery(*numbers: int) -> Delivery:
    return Delivery(alerts=tuple(alert(number) for number in numbers))


def append(con: Connection, event: str = "tested") -> int:
    return audit.append(con, at=T0, actor="test", event=event).seq


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clopus.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


async def test_two_hundred_writers_are_each_answered_after_their_commit(store: Store, path: Path) -> None:
    numbers = await asyncio.gather(*(store.write(append) for _ in range(200)))
    assert sorted(numbers) == list(range(1, 201))
    assert (await store.read(lambda con: audit.verify(con, store.remembered_head()))).ok
    head = store.remembered_head()
    assert head is not None
    assert head.seq == 200


async def test_job_that_raises_spares_its_neighbours(store: Store) -> None:
    def poison(con: Connection) -> None:
        append(con, "poison")
        incidents.get(con, "inc-none")

    def broken_sql(con: Connection) -> None:
        con.execute("SELECT no_such_column FROM alerts")

    jobs = [store.write(job) for job in (append, poison, append, broken_sql, append, poison, append)]
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [a for a in answers if isinstance(a, int)] == [1, 2, 3, 4]
    assert [type(answers[index]) for index in (1, 5)] == [NotFound, NotFound]
    assert isinstance(answers[3], Exception)
    assert not store.problem
    records = await store.read(lambda con: tuple(audit.records(con)))
    assert [record.event for record in records] == ["tested"] * 4


async def test_ingests_of_many_callers_are_folded_into_each_other(store: Store) -> None:
    results = await asyncio.gather(*(store.ingest(delivery(n, n + 1), T0) for n in range(200)))
    assert (sum(r.accepted for r in results), sum(r.duplicates for r in results)) == (201, 199)
    assert sorted(seq for r in results for seq in r.ids) == list(range(1, 202))
    assert await store.read(alerts.counts) == (201, 0, 201, 0)


@pytest.mark.inv(3)
async def test_ten_thousand_alerts_in_one_body_are_taken_and_recognised(store: Store) -> None:
    body = delivery(*range(10_000))
    first, second = await store.ingest(body, T0), await store.ingest(body, T0)
    assert (first.accepted, second.accepted, second.duplicates) == (10_000, 0, 10_000)


@pytest.mark.inv(8)
async def test_quarantined_alerts_are_accepted_with_the_good_ones(store: Store) -> None:
    mixed = Delivery(alerts=(alert(1),), quarantined=(QuarantinedAlert(reason="no labels", raw="{}"),))
    result = await store.ingest(mixed, T0)
    assert (result.accepted, result.quarantined) == (2, 1)
    assert await store.read(alerts.counts) == (2, 0, 1, 1)


async def test_empty_delivery_is_answered_and_leaves_no_record(store: Store) -> None:
    assert (await store.ingest(Delivery(alerts=()), T0)).accepted == 0
    assert await store.read(audit.head) == audit.AuditHead()


async def test_reader_sees_what_was_committed_before_it_asked(store: Store) -> None:
    for expected in range(1, 20):
        await store.write(append)
        assert (await store.read(audit.head)).seq == expected


async def test_reader_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match="read-only"):
        await store.read(append)
    assert await store.write(append) == 1


@pytest.mark.inv(9)
async def test_full_queue_refuses_and_loses_nothing_it_took(path: Path) -> None:
    with Store.open(path, max_waiting=5) as store:
        answers = await asyncio.gather(*(store.write(append) for _ in range(500)), return_exceptions=True)
        taken = [answer for answer in answers if isinstance(answer, int)]
        assert {type(answer) for answer in answers} == {int, QueueFull}
        assert (await store.read(audit.head)).seq == len(taken)


async def test_close_commits_what_waits_and_then_refuses(path: Path) -> None:
    store = Store.open(path)
    waiting = [asyncio.create_task(store.write(append)) for _ in range(50)]
    await asyncio.sleep(0)
    store.close()
    assert sorted(await asyncio.gather(*waiting)) == list(range(1, 51))
    for refused in (store.write(append), store.read(audit.head), store.ingest(delivery(1), T0)):
        with pytest.raises(StoreUnavailable):
            await refused
    store.close()


async def test_caller_that_gives_up_takes_nothing_back(store: Store) -> None:
    task = asyncio.create_task(store.write(append))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.write(append) == 2


async def test_snapshot_is_a_database_of_its_own(store: Store, tmp_path: Path) -> None:
    await asyncio.gather(*(store.write(append) for _ in range(20)))
    await store.snapshot(tmp_path / "copy.duckdb")
    await store.write(append)
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as copy:
        assert audit.head(copy).seq == 20


async def test_store_in_memory_keeps_to_the_same_rules() -> None:
    with Store.open(":memory:") as store:
        await asyncio.gather(store.write(append), store.ingest(delivery(1, 1), T0))
        assert (await store.read(audit.head)).seq == 2
        assert store.remembered_head() is None


async def test_numbers_go_on_after_a_restart(path: Path) -> None:
    for start in (1, 2, 3):
        with Store.open(path) as store:
            assert (await store.ingest(delivery(start), T0)).ids == (start,)
            assert not store.lost_tail


_CHILD = """
import asyncio, os, sys
from datetime import UTC, datetime
from responder.domain.alert import Alert, AlertStatus, Delivery
from responder.store import audit
from responder.store.store import Store

T0, base = datetime(2026, 3, 1, tzinfo=UTC), int(sys.argv[2])

async def sender(store, lane):
    for number in range(10_000):
        name = f"{base}-{lane}-{number}"
        alert = Alert(fingerprint=name, status=AlertStatus.FIRING, labels={"alertname": "A"}, starts_at=T0)
        await store.ingest(Delivery(alerts=(alert,)), T0)
        os.write(1, f"{name}\\n".encode())

async def main():
    store = Store.open(sys.argv[1])
    await asyncio.gather(*(sender(store, lane) for lane in range(20)))

asyncio.run(main())
"""


@pytest.mark.inv(1)
async def test_kill_after_acknowledgement_loses_nothing(path: Path) -> None:
    acknowledged: set[str] = set()
    for base in range(3):
        child = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs on this loop
            [sys.executable, "-c", _CHILD, str(path), str(base)], stdout=subprocess.PIPE, env=os.environ | _PATHS
        )
        assert child.stdout is not None
        lines, deadline = [], time.monotonic() + 30
        while len(lines) < 300 + 77 * base and time.monotonic() < deadline:
            lines.append(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate(timeout=30)
        whole = (b"".join(lines) + rest).decode()
        acknowledged |= set(whole[: whole.rfind("\n")].split("\n"))
    with Store.open(path) as store:
        rows = await store.read(lambda con: con.execute("SELECT fingerprint FROM alerts").fetchall())
        report = await store.read(lambda con: audit.verify(con, store.remembered_head()))
        assert (store.quarantined, store.lost_tail, report.ok) == (None, False, True)
    stored = [fingerprint for (fingerprint,) in rows]
    assert len(acknowledged) >= 900
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))


_PATHS = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
