"""What a report tells its reader to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import Incident, State
from responder.domain.plan import Change, PatchOp
from responder.domain.refs import ObjectRef
from responder.reporter.report import build_report

T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web")
REVERSIBLE = Change(
    target=WEB,
    resource_version="7",
    base_hash="b",
    patch=(PatchOp(op="replace", path="/spec/x", value=2),),
    inverse=(PatchOp(op="replace", path="/spec/x", value=1),),
)
APPLIED = Execution(
    id="exe-1",
    plan_id="pln-1",
    incident_id="inc-1",
    kind=ExecutionKind.APPLY,
    change=REVERSIBLE,
    requested_by="ann",
    intent_at=T0,
    outcome=ExecutionOutcome.APPLIED,
)
UNDO = replace(APPLIED, id="exe-2", kind=ExecutionKind.ROLLBACK, intent_at=T0 + timedelta(seconds=9))
LOOK = "a human has to look: clopus show inc-1"


@pytest.mark.parametrize(
    ("state", "executions", "verdicts", "told"),
    [
        (State.RESOLVED, (APPLIED,), {}, "clopus rollback exe-1"),
        (State.RESOLVED, (APPLIED, UNDO), {"exe-2": VerdictKind.PASSED}, ""),
        (State.ESCALATED, (APPLIED, UNDO), {"exe-2": VerdictKind.PASSED}, LOOK),
        (State.ESCALATED, (APPLIED, UNDO), {}, "clopus rollback exe-1"),
        (
            State.ESCALATED,
            (APPLIED, replace(UNDO, outcome=ExecutionOutcome.NOT_APPLIED)),
            {"exe-2": VerdictKind.FAILED},
            "clopus rollback exe-1",
        ),
        (State.ESCALATED, (replace(APPLIED, outcome=ExecutionOutcome.UNKNOWN),), {}, LOOK),
        (State.ESCALATED, (replace(APPLIED, change=replace(REVERSIBLE, inverse=())),), {}, LOOK),
        (State.ROLLING_BACK, (APPLIED,), {}, ""),
        (State.ESCALATED, (), {}, LOOK),
        (State.RESOLVED, (), {}, ""),
    ],
    ids=[
        "applied", "taken back", "taken back and escalated", "an undo that nobody looked at", "a refused undo",
        "unknown", "no way back", "on its way back", "nothing done", "nothing to do",
    ],
)  # fmt: skip
def test_the_next_step_is_one_that_would_be_accepted(state, executions, verdicts, told):
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, namespace="shop", opened_at=T0, updated_at=T0, state=state)
    assert build_report(incident, executions=executions, verdicts=verdicts).next == told
