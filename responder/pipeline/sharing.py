"""The way of an incident with members: one look at one of them, and after each change that helped, the next.

That workloads share an incident is `detector.causes`'s decision; that automation takes no action on it is `policy`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from responder.detector.causes import headline, root_of_cause
from responder.domain.execution import ExecutionKind, ExecutionOutcome, VerdictKind
from responder.domain.incident import Incident
from responder.domain.plan import Plan
from responder.domain.refs import ObjectRef
from responder.pipeline.context import Context
from responder.store import alerts, executions, incidents
from responder.store.store import Connection

SOURCE_LABEL = "__source__"
"""Pseudo-label of an incident: where its first alert came from. Prometheus keeps names with `__` for itself."""

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Members:
    """Where a shared incident stands."""

    waiting: tuple[ObjectRef, ...]
    """An alert fires for them and no change has mended them, in order of their first alert."""
    mended: int
    """Workloads with a change that passed its verification and is in force."""
    half_mended: frozenset[ObjectRef]
    """Targets of changes that uncovered the next fault: their alerts may well be quiet."""
    headline: str


async def members_of(ctx: Context, incident: Incident) -> Members:
    return await ctx.store.read(lambda con: _members(con, incident))


async def on_waiting_member(ctx: Context, incident: Incident) -> Incident:
    """The incident on a member that still needs a look: its root, or the first that waits. Elsewhere it stays as it is.

    Read afresh each time, so that nothing but the store has to survive a restart.
    """
    root = incident.root
    if not incident.cause or root is None or root_of_cause(incident.cause) is not None:
        return incident
    members = await members_of(ctx, incident)
    busy = any(_belongs(target, root) for target in members.half_mended)
    if busy or not members.waiting or any(ref.same_name(root) for ref in members.waiting):
        return incident
    return await ctx.store.read(lambda con: _moved_to(con, incident, members.waiting[0]))


async def others_suffer(ctx: Context, incident: Incident) -> bool:
    """That one member is well again is no end of an incident with members."""
    root = incident.root
    if not incident.cause or root is None:
        return False
    return any(not ref.same_name(root) for ref in (await members_of(ctx, incident)).waiting)


async def told_with_members(ctx: Context, incident: Incident, told: str) -> str:
    """What one member suffers from says little without the others."""
    return f"{told} ({(await members_of(ctx, incident)).headline})" if incident.cause else told


def about(plan: Plan, root: ObjectRef | None) -> bool:
    """Whether the plan is for `root` or one of its pods; an incident with members has plans for several."""
    return root is not None and _belongs(plan.action.target, root)


def summary_of(con: Connection, incident: Incident) -> str:
    """What the members have in common, with the first of them by name."""
    stored = incidents.get(con, incident.id)
    return headline(incident.cause, stored.members, incidents.members(con, incident.id, _NAMED))


def _members(con: Connection, incident: Incident) -> Members:
    judged = _judged(con, incident.id)
    mended = frozenset(target for target, verdict in judged.items() if verdict is VerdictKind.PASSED)
    firing = (ref for key in alerts.firing_members(con, incident.id) if (ref := ObjectRef.of_key(key)))
    return Members(
        waiting=tuple(ref for ref in firing if not any(_belongs(target, ref) for target in mended)),
        mended=len(mended),
        half_mended=frozenset(target for target, verdict in judged.items() if verdict is VerdictKind.PROGRESSED),
        headline=summary_of(con, incident),
    )


def _judged(con: Connection, incident_id: str) -> dict[ObjectRef, VerdictKind]:
    """Target -> the verdict on the newest change of it that nobody took back."""
    done = [e for e in executions.of_incident(con, incident_id) if e.outcome is ExecutionOutcome.APPLIED]
    undone = {e.plan_id for e in done if e.kind is ExecutionKind.ROLLBACK}
    judged = {}
    for execution in done:
        if execution.kind is ExecutionKind.APPLY and execution.plan_id not in undone:
            looks = executions.verifications(con, execution.id)
            judged[execution.change.target.without_uid()] = looks[-1].verdict.kind if looks else VerdictKind.PENDING
    return judged


def _moved_to(con: Connection, incident: Incident, member: ObjectRef) -> Incident:
    """Rules match, and ceilings hold, by what the member's own alert says."""
    alert = alerts.last_about(con, incident.id, member.key)
    labels = incident.labels if alert is None else {**alert.labels, SOURCE_LABEL: alert.source.value}
    return replace(incident, root=member, namespace=member.namespace, labels=labels)


def _belongs(target: ObjectRef, root: ObjectRef) -> bool:
    if target.same_name(root):
        return True
    return target.kind == "Pod" and target.namespace == root.namespace and target.name.startswith(f"{root.name}-")
