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
REFUSED = replace(UNDO, outcome=ExecutionOutcome.NOT_APPLIED)
UNKNOWN = replace(APPLIED, outcome=ExecutionOutcome.UNKNOWN)
NO_WAY_BACK = replace(APPLIED, change=replace(REVERSIBLE, inverse=()))
PASSED = {"exe-2": VerdictKind.PASSED}
BACK = "clopus rollback exe-1"
LOOK = "a human has to look: clopus show inc-1"


@pytest.mark.parametrize(
    ("state", "executions", "verdicts", "told"),
    [
        pytest.param(State.RESOLVED, (APPLIED,), {}, BACK, id="applied"),
        pytest.param(State.RESOLVED, (APPLIED, UNDO), PASSED, "", id="taken back"),
        pytest.param(State.ESCALATED, (APPLIED, UNDO), PASSED, LOOK, id="taken back and escalated"),
        pytest.param(State.ESCALATED, (APPLIED, UNDO), {}, BACK, id="an undo that nobody looked at"),
        pytest.param(State.ESCALATED, (APPLIED, REFUSED), {}, BACK, id="a refused undo"),
        pytest.param(State.ESCALATED, (UNKNOWN,), {}, LOOK, id="unknown"),
        pytest.param(State.ESCALATED, (NO_WAY_BACK,), {}, LOOK, id="no way back"),
        pytest.param(State.ROLLING_BACK, (APPLIED,), {}, "", id="on its way back"),
        pytest.param(State.ESCALATED, (), {}, LOOK, id="nothing done"),
        pytest.param(State.RESOLVED, (), {}, "", id="nothing to do"),
    ],
)
def test_the_next_step_is_one_that_would_be_accepted(state, executions, verdicts, told):
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, namespace="shop", opened_at=T0, updated_at=T0, state=state)
    assert build_report(incident, executions=executions, verdicts=verdicts).next == told
