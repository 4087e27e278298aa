"""Who approved what, and whether it still counts. Pure; asked when a person answers and again right before the write.

An approval is bound to the plan's digest, expires, and is used once (`executor` consumes it with the intent).
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable
from datetime import datetime

from responder import wire
from responder.domain.errors import ApprovalMismatch
from responder.domain.plan import Approval, Plan, PlanState, plan_digest

HUMAN = "human"
POLICY = "policy"

_NO_PERSONS = frozenset({"", "policy", "verification", "clopus"})
"""Names that Clopus gives itself: none of them can approve as a human."""


def approve(
    plan: Plan, *, digest: str, approver: str, kind: str, now: datetime, mint: Callable[[str], str]
) -> Approval:
    """One decision on exactly this plan. It lasts as long as the plan does.

    Raises:
        ApprovalMismatch: another digest, expired, not waiting any more, or nobody who may approve.
    """
    if plan.state is not PlanState.PROPOSED:
        raise ApprovalMismatch(f"{plan.id} is {plan.state}: only a plan that waits can be approved")
    if not hmac.compare_digest(digest.encode(), plan.digest.encode()):
        raise ApprovalMismatch(f"the approval is for another digest than that of {plan.id}: look at it again")
    if now >= plan.expires_at:
        raise ApprovalMismatch(f"{plan.id} expired at {plan.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    _require_author(plan, approver=approver, kind=kind)
    return Approval(
        id=mint("app"),
        plan_id=plan.id,
        digest=plan.digest,
        approver=approver,
        kind=kind,
        decided_at=now,
        expires_at=plan.expires_at,
    )


def require_approval(plan: Plan, approvals: tuple[Approval, ...], *, now: datetime) -> tuple[Approval, ...]:
    """The approvals that carry the plan: one of policy, or those of as many people as it needs.

    Raises:
        ApprovalMismatch: none do, or the plan is not what its digest says.
    """
    if digest_of(plan) != plan.digest:
        raise ApprovalMismatch(f"{plan.id} is not what its digest says")
    valid = tuple(approval for approval in approvals if _counts(approval, plan, now))
    by_policy = tuple(approval for approval in valid if approval.kind == POLICY)
    if by_policy and all(check.passed for check in plan.checks):
        return by_policy[:1]
    people = {_person(approval.approver): approval for approval in reversed(valid) if approval.kind == HUMAN}
    if len(people) < max(plan.approvers_needed, 1):
        late = f" ({len(approvals) - len(valid)} expired or for another digest)" if len(approvals) > len(valid) else ""
        raise ApprovalMismatch(f"{plan.id} has {len(people)} of {plan.approvers_needed} approvals{late}")
    return tuple(reversed(tuple(people.values())))


def digest_of(plan: Plan) -> str:
    return plan_digest(action=wire.to_json(plan.action), changes=plan.changes, diff=plan.diff)


def _require_author(plan: Plan, *, approver: str, kind: str) -> None:
    if kind == POLICY:
        objections = [check.name for check in plan.checks if not check.passed]
        if objections:
            raise ApprovalMismatch(f"policy does not approve {plan.id}: {', '.join(objections)}")
    elif kind != HUMAN or _person(approver) in _NO_PERSONS:
        raise ApprovalMismatch(f"{approver!a} cannot approve {plan.id}: it takes an authenticated person")


def _counts(approval: Approval, plan: Plan, now: datetime) -> bool:
    return (
        approval.plan_id == plan.id
        and approval.digest == plan.digest
        and now < min(approval.expires_at, plan.expires_at)
        and (approval.kind == POLICY or (approval.kind == HUMAN and _person(approval.approver) not in _NO_PERSONS))
    )


def _person(approver: str) -> str:
    """Two spellings of one name are one person."""
    return unicodedata.normalize("NFKC", approver).strip().casefold()
