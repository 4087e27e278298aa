"""One incident as lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.story import Known, newest_undoable, plan_that_waits, tell, tell_plan, tell_undo, what_next
from responder.domain.action import SetImage
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome
from responder.domain.incident import Incident, State
from responder.domain.plan import Change, Check, PatchOp, Plan, PlanState
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk
from responder.domain.versions import Difference, ObjectVersion, VersionEvent
from responder.domain.views import ExecutionView, IncidentDetail, PlanView

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u1")
CHANGE = Change(
    target=WEB,
    resource_version="1",
    base_hash="h",
    patch=(PatchOp(op="replace", path="/spec/image", value="web:2"),),
    inverse=(
        PatchOp(op="test", path="/spec/name", value="web"),
        PatchOp(op="replace", path="/metadata/annotations/a~1b", value="web:1\u202e"),
        PatchOp(op="remove", path="/spec/extra"),
    ),
)
PLAN = Plan(
    id="pln-1",
    incident_id="inc-1",
    investigation_id="inv-1",
    finding="image.not_found",
    action=SetImage(target=WEB, container="web", image="web:2"),
    reason="a slip",
    changes=(CHANGE,),
    diff="--- now\n+++ planned\n-web:1\n+web:2" + "z" * 300,
    risk=Risk.MEDIUM,
    reversible=True,
    checks=(Check(name="risk_ceiling", passed=False, detail="medium is over low"),),
    digest="d" * 64,
    created_at=AT,
    expires_at=AT + timedelta(minutes=15),
)
INCIDENT = Incident(id="inc-1", key=WEB.key, root=WEB, state=State.AWAITING_APPROVAL, opened_at=AT, updated_at=AT)


def execution(number, kind=ExecutionKind.APPLY, outcome=ExecutionOutcome.APPLIED, change=CHANGE, plan_id="pln-1"):
    return ExecutionView(
        execution=Execution(
            id=f"exe-{number}",
            plan_id=plan_id,
            incident_id="inc-1",
            kind=kind,
            change=change,
            requested_by="ann",
            intent_at=AT,
            outcome=outcome,
        )
    )


def detail(plan=PLAN, incident=INCIDENT, executions=()):
    return IncidentDetail(incident=incident, plans=(PlanView(plan=plan),), executions=tuple(executions))


def text(lines):
    return "\n".join(line.text for line in lines)


@pytest.mark.parametrize("width", [60, 78, 180])
@pytest.mark.inv(24)
def test_the_approval_shows_the_whole_diff_the_digest_and_what_speaks_against_it(width):
    lines = tell_plan(PlanView(plan=PLAN), width=width)
    told = text(lines)
    assert sum(line.text.count("z") for line in lines) == 300
    assert told.count("d" * 30) or told.count("d") > 64
    assert "medium is over low" in told
    assert "can be taken back" in told


def test_what_waits_is_the_newest_proposed_plan_of_an_incident_that_waits():
    assert plan_that_waits(detail()) == PlanView(plan=PLAN)
    assert plan_that_waits(detail(plan=replace(PLAN, state=PlanState.EXPIRED))) is None
    assert plan_that_waits(detail(incident=replace(INCIDENT, state=State.VERIFYING))) is None


@pytest.mark.parametrize(
    ("executions", "undoable"),
    [
        ([], None),
        ([execution(1)], "exe-1"),
        ([execution(1), execution(2, plan_id="pln-2")], "exe-2"),
        ([execution(1), execution(2, ExecutionKind.ROLLBACK)], None),
        ([execution(1, outcome=ExecutionOutcome.UNKNOWN)], None),
        ([execution(1, change=replace(CHANGE, inverse=()))], None),
    ],
)
def test_the_newest_applied_change_that_stands_can_be_taken_back(executions, undoable):
    found = newest_undoable(executions)
    assert (found.execution.id if found else None) == undoable


def test_taking_back_is_told_field_by_field_and_safely():
    told = text(tell_undo(execution(1), PLAN, width=80))
    assert 'while     /spec/name is "web"' in told
    assert 'sets      /metadata/annotations/a/b to "web:1\\u202e"' in told
    assert "removes   /spec/extra" in told


def test_the_keys_that_can_do_something_are_named():
    assert what_next(detail(), AT) == "waits for you, 15m left: a approves, x rejects"
    over = detail(plan=replace(PLAN, state=PlanState.APPLIED), incident=replace(INCIDENT, state=State.ESCALATED),
                  executions=[execution(1)])  # fmt: skip
    assert what_next(over, AT) == "u takes the change back  ·  i looks again"
    assert what_next(detail(incident=replace(INCIDENT, state=State.VERIFYING)), AT) == "nothing to decide"


def test_a_change_that_was_taken_back_is_not_told_as_standing():
    known = Known(
        detail=detail(
            plan=replace(PLAN, state=PlanState.APPLIED), executions=[execution(1), execution(2, ExecutionKind.ROLLBACK)]
        )
    )
    assert "change    applied, then taken back: set_image" in text(tell(known, width=100, opened=frozenset(), now=AT))


@pytest.mark.parametrize("width", [40, 78, 180])
def test_no_line_is_wider_than_the_screen(width):
    known = Known(detail=detail(incident=replace(INCIDENT, summary="word " * 100 + "x" * 300)))
    opened = frozenset({"checks:pln-1"})
    assert max(len(line.text) for line in tell(known, width=width, opened=opened, now=AT)) <= width


def test_what_changed_before_is_told_newest_first_and_opens_to_its_fields():
    changes = tuple(
        ObjectVersion(
            seq=seq,
            ref=WEB,
            event=VersionEvent.CHANGED,
            seen_at=AT - timedelta(minutes=seq),
            manager="kubectl-edit\u202e",
            differences=(Difference(path="spec.x", before='"1"', after='"2"'),),
        )
        for seq in range(7)
    )
    known = Known(detail=replace(detail(), changes=changes))
    shut = text(tell(known, width=100, opened=frozenset(), now=AT))
    assert "Deployment/shop/web changed 1 min before the alert by kubectl-edit" in shut
    assert shut.count("before the alert") == 5
    assert "spec.x" not in shut
    assert "\u202e" not in shut
    assert 'spec.x: "1" -> "2"' in text(tell(known, width=100, opened=frozenset({"version:1"}), now=AT))
