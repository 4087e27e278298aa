"""`GET /api/v1/incidents/{id}/recording`: what is kept of an incident, or why it cannot be worked on again."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import Any

import pytest

from responder.analyzer.kept import pack
from responder.domain.incident import Incident
from responder.domain.investigation import Conclusion, Evidence, EvidenceKind, Investigation
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.domain.views import Recording
from responder.redact.placeholders import Placeholders
from responder.store import incidents, investigations, snapshots
from responder.wire import loads

WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
PATH = "/api/v1/incidents/inc-000000000001/recording"


@pytest.fixture
async def incident(api: Any) -> Incident:
    now = api.services.now()
    found = Incident(
        id="inc-000000000001", key=WEB.key, root=WEB, namespace="shop", opened_at=now, updated_at=now
    )  # fmt: skip
    await api.services.store.write(lambda con: incidents.insert(con, found))
    return found


@pytest.fixture
def keep(api: Any, incident: Incident) -> Any:
    """Store one more run; with a body, what it looked at."""
    now = api.services.now()
    numbers = iter(range(1, 10))

    async def kept(body: bytes | None = None, *, analyzer: str = "heuristic") -> Investigation:
        number = next(numbers)
        run = Investigation(
            id=f"inv-{number}",
            incident_id=incident.id,
            number=number,
            analyzer=analyzer,
            started_at=now,
            ended_at=now,
            conclusion=Conclusion.UNEXPLAINED,
            summary="nothing known fits",
            evidence=(Evidence(id="e1", kind=EvidenceKind.LOG, source="log", observed_at=now, text="fatal"),),
        )

        def job(con: Any) -> None:
            investigations.insert(con, run)
            if body is not None:
                snapshots.put(con, run.id, body, at=now, keep_days=14)

        await api.services.store.write(job)
        return run

    return kept


async def recording(api: Any) -> Recording:
    answer = await api("GET", PATH, by="vera")
    assert answer.status == 200, answer.body
    found: Recording = loads(Recording, answer.body)
    return found


def packed(snapshot: Snapshot) -> bytes | None:
    return pack(snapshot, Placeholders())


async def test_it_holds_the_newest_snapshot_and_every_run_whole(api: Any, incident: Incident, keep: Any) -> None:
    older = Snapshot(taken_at=incident.opened_at, root=WEB)
    newer = Snapshot(taken_at=incident.opened_at + timedelta(seconds=9), root=WEB)
    runs = [await keep(packed(older)), await keep(packed(newer)), await keep(analyzer="claude")]
    found = await recording(api)
    assert (found.incident, found.snapshot, found.snapshot_of) == (incident, newer, "inv-2")
    assert found.investigations == tuple(runs)
    assert [run.id for run in found.look] == ["inv-2", "inv-3"]
    assert found.problem == ""


async def test_without_a_snapshot_it_says_why_and_how_to_get_one(api: Any, keep: Any) -> None:
    await keep()
    found = await recording(api)
    assert (found.snapshot, found.look) == (None, ())
    assert "analysis.keep_snapshot_days" in found.problem
    assert "clopus investigate" in found.problem


@pytest.mark.parametrize("body", [b"no zlib", zlib.compress(b'{"form": "another"}')])
async def test_a_snapshot_of_another_form_is_none(api: Any, keep: Any, body: bytes) -> None:
    await keep(body)
    found = await recording(api)
    assert found.snapshot is None
    assert "cannot be read" in found.problem


async def test_an_incident_that_nobody_knows_is_not_found(api: Any) -> None:
    assert (await api("GET", PATH)).status == 404


@pytest.mark.parametrize(("by", "status"), [("", 401), ("alertmanager", 403), ("vera", 200), ("olga", 200)])
async def test_whoever_may_look_may_have_it(api: Any, incident: Incident, by: str, status: int) -> None:
    assert (await api("GET", PATH, by=by)).status == status
