"""An approval counts for one digest, one person, once, and not for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from responder.domain.errors import ApprovalMismatch
from responder.domain.plan import Approval, Check, Plan, PlanState
from responder.fixer.approval import approve, require_approval

pytestmark = pytest.mark.inv(37)

OBJECTION = Check(name="risk_ceiling", passed=False, detail="")
MET = Check(name="risk_ceiling", passed=True, detail="")


def given_by(make: Any, plan: Plan, approver: str = "alice", kind: str = "human", **changes: Any) -> Approval:
    approval = approve(plan, digest=plan.digest, approver=approver, kind=kind, now=make.now, mint=make.mint())
    return replace(approval, **changes)


def later(make: Any, minutes: float) -> datetime:
    moment: datetime = make.now + timedelta(minutes=minutes)
    return moment


def test_a_person_approves_exactly_the_digest(make: Any) -> None:
    plan = make.plan()
    approval = given_by(make, plan)
    assert (approval.digest, approval.plan_id, approval.expires_at) == (plan.digest, plan.id, plan.expires_at)
    assert require_approval(plan, (approval,), now=make.now) == (approval,)


@pytest.mark.parametrize("digest", ["", "0" * 64, "é"])
def test_another_digest_is_no_approval(make: Any, digest: str) -> None:
    with pytest.raises(ApprovalMismatch):
        approve(make.plan(), digest=digest, approver="alice", kind="human", now=make.now, mint=make.mint())


@pytest.mark.parametrize("state", [state for state in PlanState if state is not PlanState.PROPOSED])
def test_only_a_plan_that_waits_can_be_approved(make: Any, state: PlanState) -> None:
    plan = make.plan(state=state)
    with pytest.raises(ApprovalMismatch):
        given_by(make, plan)


@pytest.mark.inv(38)
@pytest.mark.parametrize("approver", ["", " ", "policy", "verification", "clopus", "Clopus ", "ＣＬＯＰＵＳ"])
def test_clopus_cannot_approve_as_a_person(make: Any, approver: str) -> None:
    with pytest.raises(ApprovalMismatch):
        given_by(make, make.plan(), approver=approver)


@pytest.mark.parametrize("kind", ["", "rollback", "model"])
def test_an_unknown_kind_of_approval_is_none(make: Any, kind: str) -> None:
    with pytest.raises(ApprovalMismatch):
        given_by(make, make.plan(), kind=kind)


def test_an_expired_plan_cannot_be_approved(make: Any) -> None:
    plan = make.plan()
    with pytest.raises(ApprovalMismatch):
        approve(plan, digest=plan.digest, approver="a", kind="human", now=later(make, 15), mint=make.mint())


def test_policy_approves_only_what_passed_every_check(make: Any) -> None:
    assert given_by(make, make.plan(checks=(MET,)), approver="policy", kind="policy").kind == "policy"
    with pytest.raises(ApprovalMismatch):
        given_by(make, make.plan(checks=(MET, OBJECTION)), approver="policy", kind="policy")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"digest": "0" * 64}, id="another digest"),
        pytest.param({"plan_id": "pln-2"}, id="another plan"),
        pytest.param({"kind": "rollback"}, id="another purpose"),
        pytest.param({"approver": "clopus"}, id="no person"),
    ],
)
def test_an_approval_of_something_else_does_not_count(make: Any, change: dict[str, Any]) -> None:
    plan = make.plan()
    with pytest.raises(ApprovalMismatch):
        require_approval(plan, (given_by(make, plan, **change),), now=make.now)


def test_an_approval_is_void_once_it_expires(make: Any) -> None:
    plan = make.plan()
    with pytest.raises(ApprovalMismatch):
        require_approval(plan, (given_by(make, plan),), now=later(make, 15))


@pytest.mark.inv(24)
@pytest.mark.parametrize("field", ["diff", "action", "changes"])
def test_a_plan_that_is_not_what_its_digest_says_is_not_carried_out(make: Any, field: str) -> None:
    plan = make.plan()
    approval = given_by(make, plan)
    other = {
        "diff": "-a\n+c",
        "action": replace(plan.action, image="registry.local/web:3"),
        "changes": (replace(plan.changes[0], inverse=()),),
    }
    with pytest.raises(ApprovalMismatch):
        require_approval(replace(plan, **{field: other[field]}), (approval,), now=make.now)


@pytest.mark.inv(38)
@pytest.mark.parametrize(
    ("people", "enough"),
    [
        (["alice", "bob"], True),
        (["alice"], False),
        (["alice", "alice"], False),
        (["alice", "Alice "], False),
        (["alice", "ａlice"], False),
        (["alice", "policy"], False),
    ],
)
def test_two_approvers_are_two_people(make: Any, people: list[str], enough: bool) -> None:
    plan = make.plan(approvers_needed=2)
    approvals = tuple(replace(given_by(make, plan), id=f"app-{i}", approver=p) for i, p in enumerate(people))
    if enough:
        assert [a.approver for a in require_approval(plan, approvals, now=make.now)] == people
        return
    with pytest.raises(ApprovalMismatch):
        require_approval(plan, approvals, now=make.now)


def test_an_approval_by_policy_counts_only_while_every_check_of_the_plan_passed(make: Any) -> None:
    plan = make.plan(checks=(MET,))
    approval = given_by(make, plan, approver="policy", kind="policy")
    assert require_approval(plan, (approval,), now=make.now) == (approval,)
    with pytest.raises(ApprovalMismatch):
        require_approval(make.plan(checks=(OBJECTION,)), (approval,), now=make.now)


def test_a_plan_without_approvals_is_not_carried_out(make: Any) -> None:
    with pytest.raises(ApprovalMismatch):
        require_approval(make.plan(approvers_needed=0), (), now=make.now)
