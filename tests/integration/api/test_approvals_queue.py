"""What waits for a person, in the order in which to look at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from responder import wire
from responder.domain.action import SetImage
from responder.domain.incident import Incident, State
from responder.domain.plan import Approval, Check, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.views import PlanQueue
from responder.store import incidents, plans

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")


def incident(number: int, **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": f"inc-{number:012d}",
        "key": f"Deployment/shop/web-{number}",
        "root": WEB,
        "namespace": "shop",
        "severity": "warning",
        "rule": "images",
        "state": State.AWAITING_APPROVAL,
        "opened_at": NOW,
        "updated_at": NOW,
    }
    return Incident(**values | changes)


def plan(number: int, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "id": f"pln-{number:012d}",
        "incident_id": f"inc-{number:012d}",
        "investigation_id": "inv-000000000001",
        "finding": "image.not_found",
        "action": SetImage(target=WEB, container="web", image="nginx:1.27"),
        "reason": "a typing error",
        "changes": (),
        "diff": "-nignx\n+nginx",
        "risk": Risk.LOW,
        "reversible": True,
        "warnings": ("owned by Helm",),
        "checks": (
            Check(name="action_allowed", passed=True, detail="ok"),
            Check(name="mode", passed=False, detail="dry-run"),
        ),
        "digest": "d" * 64,
        "created_at": NOW + timedelta(seconds=number),
        "expires_at": NOW + timedelta(minutes=15),
        "approvers_needed": 2,
    }
    return Plan(**values | changes)


def approval(number: int, approver: str, kind: str = "human") -> Approval:
    return Approval(
        id=f"app-{number}-{approver}",
        plan_id=f"pln-{number:012d}",
        digest="d" * 64,
        approver=approver,
        kind=kind,
        decided_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
    )


async def queue(api, *pairs: tuple[Incident, Plan], approvals: tuple[Approval, ...] = ()) -> PlanQueue:
    def fill(con):
        for concerned, planned in pairs:
            incidents.insert(con, concerned)
            plans.insert(con, planned)
        for each in approvals:
            plans.add_approval(con, each)

    await api.services.store.write(fill)
    answer = await api("GET", "/api/v1/approvals", by="vera")
    assert answer.status == 200, answer.body
    return wire.loads(PlanQueue, answer.body)


def numbers(found: PlanQueue) -> list[int]:
    return [int(row.plan_id.removeprefix("pln-")) for row in found.plans]


async def test_nothing_waits_at_first(api):
    assert (await queue(api)).plans == ()


async def test_the_riskiest_come_first_and_of_one_risk_the_oldest(api):
    risks = {1: Risk.LOW, 2: Risk.HIGH, 3: Risk.MEDIUM, 4: Risk.HIGH, 5: Risk.LOW}
    found = await queue(api, *((incident(number), plan(number, risk=risk)) for number, risk in risks.items()))
    assert numbers(found) == [2, 4, 3, 1, 5]


async def test_only_what_a_person_can_still_decide_is_in_it(api):
    found = await queue(
        api,
        *((incident(number), plan(number, state=state)) for number, state in enumerate(PlanState, start=1)),
        (incident(50, state=State.ESCALATED), plan(50)),
        (incident(51, state=State.EXECUTING), plan(51)),
    )
    assert [row.plan_id for row in found.plans] == [plan(1).id]


async def test_a_row_says_what_is_needed_to_choose(api):
    found = await queue(
        api, (incident(1), plan(1)), approvals=(approval(1, "ann"), approval(1, "someone", kind="rollback"))
    )
    (row,) = found.plans
    assert (row.key, row.rule, row.severity) == ("Deployment/shop/web-1", "images", "warning")
    assert (row.approvers, row.approvers_needed) == (("ann",), 2)
    assert (row.warnings, row.objections) == (1, ("mode",))


async def test_a_row_says_who_looks_at_it_now(api):
    await queue(api, (incident(1), plan(1)), (incident(2), plan(2)))
    await api("PUT", f"/api/v1/plans/{plan(2).id}/presence", json={"session": "session-1", "deciding": True})
    found = await queue(api)
    assert [[viewer.name for viewer in row.viewers] for row in found.plans] == [[], ["olga"]]


async def test_a_storm_of_plans_is_read_at_once(api):
    found = await queue(api, *((incident(number), plan(number)) for number in range(1, 301)))
    assert numbers(found) == list(range(1, 301))
