"""From an admitted proposal to a plan: the live object, the patch and its inverse, the server's dry run, the digest.

Nothing is written. What the server answered to the dry run is what people see and what the digest covers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from responder import wire
from responder.cluster.protocol import Cluster
from responder.domain.errors import PlanStale, PolicyViolation
from responder.domain.investigation import Proposal
from responder.domain.manifest import LiveObject, base_hash
from responder.domain.plan import Change, Plan, PolicyVerdict, plan_digest
from responder.domain.rule import Rule
from responder.domain.snapshot import Snapshot
from responder.domain.visible import visible
from responder.fixer.actions import handler_for
from responder.fixer.guard import lone_suggestion, opted_out
from responder.fixer.ownership import ownership_warnings
from responder.fixer.rehearsal import rehearse


async def make_plan(
    cluster: Cluster,
    proposal: Proposal,
    *,
    snapshot: Snapshot,
    verdict: PolicyVerdict,
    incident_id: str,
    investigation_id: str,
    rule: Rule,
    now: datetime,
    mint: Callable[[str], str],
) -> Plan:
    """
    Raises:
        PolicyViolation: the guard did not admit the proposal, or the object has opted out since.
        PlanStale: the object changed since it was looked at.
        ObjectGone, PlanInvalid, FieldConflict: as the cluster says, or the change makes no sense there.
    """
    if not verdict.admitted:
        names = ", ".join(check.name for check in verdict.objections)
        raise PolicyViolation(f"{proposal.action.kind} was refused: {names}")
    action, handler = proposal.action, handler_for(proposal.action)
    plan_id = mint("pln")

    def compute(live: LiveObject) -> Change:
        _require_unchanged(live, snapshot)
        return handler.change(action, live, snapshot, now=now)

    rehearsal = await rehearse(cluster, action.target, compute, execution_id=plan_id)
    change, diff = rehearsal.change, rehearsal.diff()
    return Plan(
        id=plan_id,
        incident_id=incident_id,
        investigation_id=investigation_id,
        finding=proposal.finding,
        action=action,
        reason=visible(proposal.reason),
        changes=(change,),
        diff=diff,
        risk=handler.risk(action, snapshot),
        reversible=handler.reversible,
        warnings=(
            *filter(None, (lone_suggestion(proposal),)),
            *ownership_warnings(rehearsal.live, change),
            *handler.warnings(action, snapshot),
        ),
        restores_not=handler.restores_not(action, snapshot),
        checks=verdict.checks,
        digest=plan_digest(action=wire.to_json(action), changes=(change,), diff=diff),
        created_at=now,
        expires_at=now + timedelta(seconds=rule.approval.expires_seconds),
        approvers_needed=rule.approval.approvers,
    )


def _require_unchanged(live: LiveObject, snapshot: Snapshot) -> None:
    """Raises PolicyViolation where the object has opted out (a look at a pod does not tell), PlanStale where it is not
    as it was when it was investigated.
    """
    if opted_out(live.annotations):
        raise PolicyViolation(f"{live.ref} has opted out")
    seen = snapshot.live
    if seen is not None and seen.ref == live.ref and base_hash(seen.body) != base_hash(live.body):
        raise PlanStale(f"{live.ref} changed while it was looked at")
