"""Which change may be taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import Incident, State
from responder.domain.plan import Change, PatchOp
from responder.domain.refs import ObjectRef
from responder.domain.undoing import in_force, keeps, kept, newest_undoable
from responder.domain.views import ExecutionView, IncidentDetail

T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")
REVERSIBLE = Change(
    target=WEB,
    resource_version="7",
    base_hash="b",
    patch=(PatchOp(op="replace", path="/spec/x", value=2),),
    inverse=(PatchOp(op="replace", path="/spec/x", value=1),),
)


def applied(number: int, *, plan: int = 0, **changes: object) -> Execution:
    execution = Execution(
        id=f"exe-{number}",
        plan_id=f"pln-{plan or number}",
        incident_id="inc-1",
        kind=ExecutionKind.APPLY,
        change=REVERSIBLE,
        requested_by="ann",
        intent_at=T0 + timedelta(seconds=number),
        outcome=ExecutionOutcome.APPLIED,
    )
    return replace(execution, **changes)


def undo(number: int, *, plan: int, **changes: object) -> Execution:
    return applied(number, plan=plan, kind=ExecutionKind.ROLLBACK, **changes)


def why(execution: Execution, *done: Execution, state: State = State.RESOLVED, **verdicts: VerdictKind) -> str:
    judged = {name.replace("_", "-"): kind for name, kind in verdicts.items()}
    return keeps(execution, done=done or (execution,), verdicts=judged, state=state)


def test_an_applied_change_of_a_resolved_incident_can_be_taken_back():
    assert why(applied(1)) == ""


@pytest.mark.parametrize("state", [State.RESOLVED, State.ESCALATED, State.VERIFYING])
def test_the_states_that_know_the_move_allow_it(state):
    assert why(applied(1), state=state) == ""


@pytest.mark.parametrize("state", [State.INVESTIGATING, State.AWAITING_APPROVAL, State.EXECUTING, State.OPEN])
def test_a_state_that_does_not_know_the_move_is_named(state):
    assert why(applied(1), state=state) == f"an incident that is {state} cannot roll_back"


def test_what_is_being_taken_back_is_not_taken_back_twice():
    assert why(applied(1), state=State.ROLLING_BACK) == "exe-1 is being taken back already"


@pytest.mark.parametrize("outcome", [ExecutionOutcome.PENDING, ExecutionOutcome.NOT_APPLIED, ExecutionOutcome.UNKNOWN])
def test_what_was_not_applied_cannot_be_taken_back(outcome):
    assert "no applied change" in why(applied(1, outcome=outcome))


def test_an_undoing_itself_cannot_be_taken_back():
    assert "no applied change" in why(undo(2, plan=1), applied(1), undo(2, plan=1))


def test_without_an_inverse_there_is_no_way_back():
    assert "no recorded inverse" in why(applied(1, change=replace(REVERSIBLE, inverse=())))


def test_the_later_change_has_to_go_first_and_is_named():
    assert why(applied(1), applied(1), applied(2)).endswith("take back exe-2 first")


def test_a_later_change_without_inverse_does_not_stand_in_the_way():
    gone = applied(2, change=replace(REVERSIBLE, inverse=()))
    assert why(applied(1), applied(1), gone) == ""
    assert in_force((applied(1), gone), {}, reversible_only=False) == gone


def test_once_taken_back_and_judged_the_change_before_it_is_in_force():
    done = (applied(1), applied(2), undo(3, plan=2))
    assert why(applied(1), *done, exe_3=VerdictKind.PASSED) == ""
    assert why(applied(2), *done, exe_3=VerdictKind.FAILED) == "exe-2 was taken back by exe-3"


def test_an_undoing_that_nobody_has_judged_yet_is_not_over():
    done = (applied(1), undo(2, plan=1))
    assert in_force(done, {"exe-2": VerdictKind.PENDING}, reversible_only=True) == applied(1)
    assert in_force(done, {}, reversible_only=True) == applied(1)


def told(*done: Execution, state: State = State.RESOLVED) -> IncidentDetail:
    incident = Incident(id="inc-1", key=WEB.key, root=WEB, state=state, opened_at=T0, updated_at=T0)
    return IncidentDetail(incident=incident, executions=tuple(ExecutionView(execution=each) for each in done))


@pytest.mark.parametrize(
    ("done", "newest"),
    [
        ((), ""),
        ((applied(1),), "exe-1"),
        ((applied(1), applied(2)), "exe-2"),
        ((applied(1, outcome=ExecutionOutcome.UNKNOWN),), ""),
        ((applied(1, change=replace(REVERSIBLE, inverse=())),), ""),
        ((applied(1), undo(2, plan=1, outcome=ExecutionOutcome.NOT_APPLIED)), "exe-1"),
    ],
)
def test_of_an_incident_the_newest_change_in_force_can_be_taken_back(done, newest):
    found = newest_undoable(told(*done))
    assert (found.execution.id if found else "") == newest


def test_of_an_incident_every_other_write_says_why_it_stays():
    assert kept(told(applied(1), applied(2))) == {
        "exe-1": "exe-1 is not the newest change in force: take back exe-2 first",
        "exe-2": "",
    }


def test_nothing_can_be_taken_back_while_it_is_being_taken_back():
    assert newest_undoable(told(applied(1), state=State.ROLLING_BACK)) is None
