"""What was written, and whether it can be taken back, over a real socket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder import wire
from responder.domain.action import SetImage
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, Verdict, VerdictKind, Verification
from responder.domain.incident import Incident, State
from responder.domain.plan import Change, PatchOp, Plan
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.views import ExecutionDetail, ExecutionPage
from responder.store import executions, incidents, plans

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
CHANGE = Change(
    target=WEB,
    resource_version="7",
    base_hash="b" * 64,
    patch=(PatchOp(op="replace", path="/spec/x", value=2),),
    inverse=(PatchOp(op="replace", path="/spec/x", value=1),),
)


def incident(number: int, **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": f"inc-{number:012d}",
        "key": f"Deployment/shop/web-{number}",
        "root": WEB,
        "rule": "images",
        "state": State.RESOLVED,
        "opened_at": NOW,
        "updated_at": NOW,
    }
    return Incident(**values | changes)


def plan(number: int, incident_number: int = 1) -> Plan:
    return Plan(
        id=f"pln-{number:012d}",
        incident_id=f"inc-{incident_number:012d}",
        investigation_id="inv-000000000001",
        finding="image.not_found",
        action=SetImage(target=WEB, container="web", image="nginx:1.27"),
        reason="a typing error",
        changes=(CHANGE,),
        diff="-nignx\n+nginx",
        risk=Risk.LOW,
        reversible=True,
        digest="d" * 64,
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
    )


def execution(number: int, incident_number: int = 1, **changes: Any) -> Execution:
    values: dict[str, Any] = {
        "id": f"exe-{number:012d}",
        "plan_id": f"pln-{number:012d}",
        "incident_id": f"inc-{incident_number:012d}",
        "kind": ExecutionKind.APPLY,
        "change": CHANGE,
        "requested_by": "ann",
        "intent_at": NOW + timedelta(seconds=number),
        "outcome": ExecutionOutcome.APPLIED,
    }
    return Execution(**values | changes)


def look(number: int, of: int, kind: VerdictKind) -> Verification:
    return Verification(
        execution_id=f"exe-{of:012d}",
        number=number,
        at=NOW,
        elapsed_seconds=1.0,
        verdict=Verdict(kind=kind, reason=f"look {number}"),
        ready=1,
        desired=1,
        restarts=0,
    )


@pytest.fixture
def keep(store):
    """Put an incident with writes on record; a write has a plan of its own number unless it undoes another."""

    async def put(concerned: Incident, *done: Execution, looks: tuple[Verification, ...] = ()) -> None:
        def fill(con):
            incidents.insert(con, concerned)
            for each in done:
                if each.kind is ExecutionKind.APPLY:
                    plans.insert(con, replace(plan(0), id=each.plan_id, incident_id=each.incident_id))
                executions.insert_intent(con, replace(each, outcome=ExecutionOutcome.PENDING))
                executions.record_outcome(con, each)
            for each in looks:
                executions.add_verification(con, each)

        await store.write(fill)

    return put


async def page(api, query: str = "") -> ExecutionPage:
    answer = await api("GET", f"/api/v1/executions{query}", by="vera")
    assert answer.status == 200, answer.body
    return wire.loads(ExecutionPage, answer.body)


async def detail(api, execution_id: str) -> ExecutionDetail:
    answer = await api("GET", f"/api/v1/executions/{execution_id}", by="vera")
    assert answer.status == 200, answer.body
    return wire.loads(ExecutionDetail, answer.body)


async def test_nothing_was_written_at_first(api):
    assert await page(api) == ExecutionPage(executions=())


async def test_a_row_says_what_was_written_by_whom_and_what_came_of_it(api, keep):
    await keep(incident(1), execution(1), looks=(look(1, 1, VerdictKind.PENDING), look(2, 1, VerdictKind.PASSED)))
    (row,) = (await page(api)).executions
    assert (row.key, row.rule, row.requested_by) == ("Deployment/shop/web-1", "images", "ann")
    assert (row.outcome, row.verdict, row.reason) == (ExecutionOutcome.APPLIED, VerdictKind.PASSED, "look 2")
    assert row.keeps == ""


async def test_what_nobody_looked_at_has_no_verdict(api, keep):
    await keep(incident(1), execution(1))
    assert (await page(api)).executions[0].verdict is None


async def test_pages_follow_each_other_newest_first_without_gap_or_double(api, keep):
    # Several within one second, whose ids do not sort by time.
    for number in range(1, 8):
        await keep(incident(number), execution(number, number, intent_at=NOW + timedelta(seconds=number // 3)))
    found, cursor = [], ""
    while True:
        answer = await page(api, f"?limit=2&cursor={cursor}")
        found += [row.execution_id for row in answer.executions]
        cursor = answer.next_cursor
        if not cursor:
            break
    assert found == [execution(number).id for number in (7, 6, 5, 4, 3, 2, 1)]


@pytest.mark.parametrize("query", ["?cursor=inc-000000000001", "?limit=0", "?cursor=%27", "?state=x"])
async def test_a_query_that_means_nothing_is_refused(api, query):
    assert (await api("GET", f"/api/v1/executions{query}")).status == 422


async def test_rows_and_details_agree_on_what_cannot_be_taken_back(api, keep):
    undo = execution(3, 1, plan_id=plan(2).id, kind=ExecutionKind.ROLLBACK)
    await keep(incident(1), execution(1), execution(2), undo, looks=(look(1, 3, VerdictKind.PASSED),))
    await keep(incident(2, state=State.INVESTIGATING), execution(4, 2))
    await keep(incident(3), execution(5, 3, change=replace(CHANGE, inverse=())))
    rows = {row.execution_id: row.keeps for row in (await page(api)).executions}
    for execution_id, kept in rows.items():
        assert (await detail(api, execution_id)).keeps == kept
    kept = [rows[execution(number).id] for number in range(1, 6)]
    assert kept[0] == ""
    assert "was taken back by exe-000000000003" in kept[1]
    assert "no applied change" in kept[2]
    assert "investigating cannot roll_back" in kept[3]
    assert "no recorded inverse" in kept[4]


async def test_a_detail_has_the_plan_with_its_change_and_every_look(api, keep):
    await keep(incident(1), execution(1), looks=(look(1, 1, VerdictKind.PENDING), look(2, 1, VerdictKind.FAILED)))
    found = await detail(api, execution(1).id)
    assert found.plan.changes == (CHANGE,)
    assert [item.number for item in found.view.verifications] == [1, 2]
    assert found.incident.id == incident(1).id


async def test_a_write_that_nobody_knows_is_not_found(api):
    assert (await api("GET", "/api/v1/executions/exe-000000000009")).status == 404
