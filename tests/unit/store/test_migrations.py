"""A database of an earlier release, with its rows, becomes one of this release."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.domain.action import SetImage
from responder.domain.investigation import Conclusion, StepKind, Usage
from responder.domain.refs import ObjectRef
from responder.store import decisions, investigations, migrate
from responder.store.connection import Connection, connect
from responder.store.store import Store

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
ACTION = '{"kind":"set_image","target":{"kind":"Deployment","namespace":"shop","name":"web","uid":"u-1"},'
PROPOSALS = f'[{{"action":{ACTION}"container":"web","image":"shop/web:1"}},"reason":"r","finding":"f","evidence":[]}}]'
ROWS = f"""
INSERT INTO investigations VALUES
    ('inv-1', 'inc-1', 1, 'heuristic', '2026-03-01 12:00:00', '2026-03-01 12:00:02', 'fault_found', 'no such image',
     '[]', '[]', '{PROPOSALS}', 0.25),
    ('inv-2', 'inc-2', 1, 'heuristic', '2026-03-01 11:00:00', '2026-03-01 11:00:02', 'unexplained', '',
     '[]', '[]', '[]', 0);
INSERT INTO steps VALUES
    ('inv-1', 1, 'text', '2026-03-01 12:00:01', 'looked', '["e1"]'),
    ('inv-1', 2, 'verdict', '2026-03-01 12:00:02', 'because', '[]'),
    ('inv-2', 1, 'verdict', '2026-03-01 11:00:01', 'earlier', '[]');
INSERT INTO evidence VALUES
    ('inv-1', 1, 'e1', 'log', 'Pod/shop/web-1', NULL, NULL, NULL, NULL, '2026-03-01 12:00:00', 'boom', false);
INSERT INTO findings VALUES
    ('inv-1', 1, 'image.not_found', 'Deployment', 'shop', 'web', 'u-1', 'web', '', 'no', 0.9, '["e1"]', true);
INSERT INTO decisions VALUES ('inc-1', '2026-03-01 12:00:00', 'image', 'dry-run', 'dry-run', 'd', '["matched"]');
"""


def upgraded_from(version: int, path: Path, monkeypatch: pytest.MonkeyPatch, rows: str = "") -> None:
    """Write a database as the release with that schema did."""
    older = tuple(item for item in migrate.shipped() if item.version <= version)
    con = connect(path, memory_limit="128MB", threads=1)
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "shipped", lambda: older)
        migrate.migrate(con, T0)
    con.execute(rows) if rows else None
    con.close()


@pytest.fixture
def upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    path = tmp_path / "clopus.db"
    upgraded_from(4, path, monkeypatch, ROWS)
    return Store.open(path, clock=lambda: T0)


async def test_investigations_of_before_are_what_they_were(upgraded: Store) -> None:
    with upgraded as store:
        run = await store.read(lambda con: investigations.get(con, "inv-1"))
    assert (run.model, run.usage, run.provider_seconds, run.cost_usd) == ("", None, 0.0, 0.25)
    assert (run.conclusion, run.ended_at) == (Conclusion.FAULT_FOUND, T0 + timedelta(seconds=2))
    assert [(step.kind, step.turn, step.tool, step.usage) for step in run.steps] == [
        (StepKind.TEXT, 0, "", None),
        (StepKind.VERDICT, 0, "", None),
    ]
    assert not run.findings[0].unsupported
    (proposal,) = run.proposals
    assert proposal.action == SetImage(target=WEB, container="web", image="shop/web:1")
    assert proposal.suggested_by == ()


async def test_decisions_of_before_asked_nobody_else(upgraded: Store) -> None:
    with upgraded as store:
        (decision,) = await store.read(lambda con: decisions.of_incident(con, "inc-1"))
    assert (decision.why, decision.consulted) == (("matched",), ())


async def test_steps_of_before_are_numbered_by_their_time(upgraded: Store) -> None:
    with upgraded as store:
        found = await store.read(lambda con: investigations.steps_after(con, 0))
    assert [(seq, event.investigation_id, event.step.number) for seq, event in found] == [
        (1, "inv-2", 1),
        (2, "inv-1", 1),
        (3, "inv-1", 2),
    ]


async def test_the_views_answer_on_rows_of_before(upgraded: Store) -> None:
    def read(con: Connection) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        cost = con.execute("SELECT investigations, cost_usd, model, requests, cached_share FROM v_cost").fetchall()
        return cost, con.execute("SELECT step, turn, input_tokens FROM v_reasoning ORDER BY recorded_at").fetchall()

    with upgraded as store:
        cost, steps = await store.read(read)
    assert cost == [(2, 0.25, "", 0, None)]
    assert steps == [(1, 0, None), (1, 0, None), (2, 0, None)]


async def test_an_upgraded_database_takes_a_run_that_goes_on(upgraded: Store) -> None:
    with upgraded as store:
        begun = await store.read(lambda con: investigations.get(con, "inv-2"))
        await store.write(lambda con: con.execute("UPDATE investigations SET ended_at = NULL WHERE id = 'inv-2'"))
        assert await store.write(lambda con: investigations.cut_short(con, T0)) == 1
        cut = await store.read(lambda con: investigations.get(con, "inv-2"))
    assert (cut.ended_at, cut.steps, cut.usage) == (T0, begun.steps, None)


@pytest.mark.parametrize("version", range(1, 5))
def test_every_earlier_schema_becomes_the_present_one(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns_of: Callable[[str], set[str]]
) -> None:
    upgraded_from(version, tmp_path / "clopus.db", monkeypatch)
    Store.open(tmp_path / "clopus.db", clock=lambda: T0).close()
    con = connect(tmp_path / "clopus.db", memory_limit="128MB", threads=1, read_only=True)
    tables = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    for table in tables:
        rows = con.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [table]).fetchall()
        assert {name for (name,) in rows} == columns_of(table)
    con.close()


_BEGIN_AND_DIE = """
import asyncio, os, sys
from datetime import UTC, datetime
from responder.domain.investigation import *
from responder.store import investigations
from responder.store.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

async def main():
    store = Store.open(sys.argv[1])
    run = Investigation(id="inv-1", incident_id="inc-1", number=1, analyzer="claude", started_at=NOW, ended_at=None,
        conclusion=Conclusion.UNFINISHED, summary="goes on")
    await store.write(lambda con: investigations.begin(con, run))
    for number in range(1, 6):
        step = Step(number=number, kind=StepKind.TURN, at=NOW, text="", turn=number, usage=Usage(output_tokens=7),
            cost_usd=0.125)
        seen = Evidence(id=f"e{number}", kind=EvidenceKind.LOG, source="s", observed_at=NOW, text="t")
        await store.write(lambda con: investigations.add(con, "inv-1", [step], [seen]))
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.inv(46)
async def test_a_run_cut_by_a_kill_keeps_every_step_it_had(tmp_path: Path) -> None:
    path = tmp_path / "clopus.db"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _BEGIN_AND_DIE, str(path))
    assert await asyncio.wait_for(process.wait(), 60) == -9
    with Store.open(path, clock=lambda: T0) as store:
        assert await store.write(lambda con: investigations.cut_short(con, T0)) == 1
        run = await store.read(lambda con: investigations.get(con, "inv-1"))
    assert [step.number for step in run.steps] == [1, 2, 3, 4, 5]
    assert [item.id for item in run.evidence] == ["e1", "e2", "e3", "e4", "e5"]
    assert (run.usage, run.cost_usd, run.summary) == (Usage(output_tokens=35), 0.625, investigations.CUT)
