"""The only module that writes to the cluster: once per intent, under preconditions, after the intent is on disk.

Before: the object is as it was approved, the server still makes the approved diff of the change, approvals count and
are used up in the transaction that commits the intent. After: the outcome is recorded. A write whose answer is lost is
never sent again; the object is read instead. That is enough: a late write can only take effect while the
resourceVersion of its precondition stands, so it and a later one of ours cannot both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from responder.cluster.protocol import Cluster
from responder.domain.errors import (
    ClusterUnavailable,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    WriteOutcomeUnknown,
)
from responder.domain.execution import Baseline, Execution, ExecutionKind, ExecutionOutcome
from responder.domain.manifest import EXECUTION_ANNOTATION, Json, LiveObject, base_hash, text
from responder.domain.plan import Change, Plan, Verb
from responder.fixer.approval import require_approval
from responder.fixer.failpoints import failpoint
from responder.fixer.ownership import last_other_writer
from responder.fixer.rehearsal import rehearse
from responder.store import audit, executions, plans
from responder.store.connection import Connection
from responder.store.store import Store


async def execute(
    cluster: Cluster,
    store: Store,
    plan: Plan,
    *,
    requested_by: str,
    baseline: Baseline,
    now: Callable[[], datetime],
    mint: Callable[[str], str],
    may_write: Callable[[], None],
) -> Execution:
    """Make the plan's change, once. `may_write` raises PolicyViolation when the brakes are on.

    Returns the execution with its outcome: applied, or (the answer lost) what reading the object tells.

    Raises:
        PlanStale: the object or the server's answer is not what was approved, or the write came too late.
        ApprovalMismatch: no approval counts any more.
        PolicyViolation, PlanInvalid, FieldConflict, ObjectGone, Forbidden, ClusterUnavailable: nothing was written,
            or the answer was lost and the object cannot be read now: then the intent stays open for `recover`.
    """
    planned = _only_change(plan)
    execution_id = mint("exe")
    compute = _as_approved(planned, stale=f"{planned.target} changed since it was planned")
    rehearsal = await rehearse(cluster, planned.target, compute, execution_id=execution_id)
    if rehearsal.diff() != plan.diff:
        raise PlanStale(f"the API server would make something else of {plan.id} by now than what was approved")
    intent = Execution(
        id=execution_id,
        plan_id=plan.id,
        incident_id=plan.incident_id,
        kind=ExecutionKind.APPLY,
        change=rehearsal.change,
        requested_by=requested_by,
        intent_at=now(),
        baseline=baseline,
        base_hash_after=rehearsal.hash_after,
    )

    def journal(con: Connection) -> None:
        require_approval(plan, plans.approvals(con, plan.id), now=intent.intent_at)
        plans.consume_approvals(con, plan.id)
        _insert_intent(con, intent, plan)

    may_write()
    failpoint("before_intent")
    await store.write(journal)
    failpoint("after_intent")
    return await _write_once(cluster, store, intent, now=now, may_write=may_write, stage="")


async def roll_back(
    cluster: Cluster,
    store: Store,
    plan: Plan,
    execution: Execution,
    *,
    requested_by: str,
    now: Callable[[], datetime],
    mint: Callable[[str], str],
    may_write: Callable[[], None],
) -> Execution:
    """Apply the recorded inverse of an applied execution, with an intent of its own.

    An outcome of `not_applied` is returned where the object's version moved under the write: it may be tried again.

    Raises:
        PlanInvalid: it was not applied, or has no inverse.
        PlanStale: someone else changed the object since; the text names who.
        PolicyViolation, FieldConflict, ObjectGone, Forbidden, ClusterUnavailable: as for `execute`.
    """
    undo = _undo_of(execution)
    undo_id = mint("exe")
    compute = _as_approved(undo, stale=f"{undo.target} was changed by someone else since")
    rehearsal = await rehearse(cluster, undo.target, compute, execution_id=undo_id)
    intent = Execution(
        id=undo_id,
        plan_id=plan.id,
        incident_id=plan.incident_id,
        kind=ExecutionKind.ROLLBACK,
        change=rehearsal.change,
        requested_by=requested_by,
        intent_at=now(),
        baseline=execution.baseline,
        base_hash_after=rehearsal.hash_after,
    )
    may_write()
    failpoint("rollback.before_intent")
    await store.write(lambda con: _insert_intent(con, intent, plan))
    failpoint("rollback.after_intent")
    try:
        return await _write_once(cluster, store, intent, now=now, may_write=may_write, stage="rollback.")
    except PlanStale as exc:
        return replace(intent, outcome=ExecutionOutcome.NOT_APPLIED, outcome_at=now(), detail=str(exc))


async def recover(cluster: Cluster, execution: Execution) -> Execution:
    """What became of a write whose answer is not on record, as the object tells. The caller stores the result.

    Raises:
        ClusterUnavailable: the object cannot be read now; ask again.
    """
    try:
        live = await cluster.get(execution.change.target)
    except ObjectGone as exc:
        return _settled(execution, ExecutionOutcome.UNKNOWN, f"the object is not there any more: {exc}")
    except Forbidden as exc:
        return _settled(execution, ExecutionOutcome.UNKNOWN, f"the object may not be read: {exc}")
    if execution.change.verb is Verb.EVICT:
        return _recovered_eviction(execution, live)
    if live.annotations.get(EXECUTION_ANNOTATION) == execution.id:
        found = _applied(execution, live, "the object carries this execution's mark")
        # What we wrote is known from the dry run; what stands there now may be someone else's on top of it.
        return replace(found, base_hash_after=execution.base_hash_after or found.base_hash_after)
    if base_hash(live.body) == execution.change.base_hash:
        return _settled(execution, ExecutionOutcome.NOT_APPLIED, "the object is as it was before the write")
    return _settled(execution, ExecutionOutcome.UNKNOWN, "the object changed, and not by a write with our mark")


async def settle(cluster: Cluster, store: Store, execution: Execution, *, now: Callable[[], datetime]) -> Execution:
    """End an intent that an earlier process left open, as `recover` finds it, and put that on record.

    Raises:
        ClusterUnavailable: as for `recover`; the intent stays open.
    """
    return await _record_outcome(store, await recover(cluster, execution), now=now, stage="recovery.")


def _undo_of(execution: Execution) -> Change:
    """The change that takes an applied one back, to the object exactly as that one left it."""
    if execution.kind is not ExecutionKind.APPLY or execution.outcome is not ExecutionOutcome.APPLIED:
        raise PlanInvalid(f"{execution.id} is no applied change: there is nothing to take back")
    if not execution.change.inverse:
        raise PlanInvalid(f"{execution.id} has no inverse: it cannot be taken back")
    return replace(
        execution.change,
        base_hash=execution.base_hash_after,
        patch=execution.change.inverse,
        inverse=execution.change.patch,
    )


def _recovered_eviction(execution: Execution, live: LiveObject) -> Execution:
    if text(live.body, "metadata", "deletionTimestamp"):
        return _settled(execution, ExecutionOutcome.UNKNOWN, "the pod is being deleted; by whom is not on record")
    return _settled(execution, ExecutionOutcome.NOT_APPLIED, "the pod is there and is not being deleted")


def _as_approved(wanted: Change, *, stale: str) -> Callable[[LiveObject], Change]:
    """Computes the change at the present version of an object that is as it was; `stale` is said where it is not."""

    def compute(live: LiveObject) -> Change:
        if base_hash(live.body) != wanted.base_hash:
            manager = last_other_writer(live)
            raise PlanStale(f"{stale}, last by {manager}" if manager else stale)
        return replace(wanted, resource_version=live.resource_version)

    return compute


async def _write_once(
    cluster: Cluster,
    store: Store,
    intent: Execution,
    *,
    now: Callable[[], datetime],
    may_write: Callable[[], None],
    stage: str,
) -> Execution:
    try:
        may_write()
        answer = await cluster.apply(intent.change, execution_id=intent.id, dry_run=False)
    except WriteOutcomeUnknown as exc:
        failpoint(f"{stage}after_write")
        found = await recover(cluster, intent)
        settled = replace(found, detail=f"{found.detail} ({exc})")
    except (PermanentError, ClusterUnavailable) as exc:
        refused = _settled(intent, ExecutionOutcome.NOT_APPLIED, str(exc))
        await _record_outcome(store, refused, now=now, stage=stage)
        raise
    else:
        failpoint(f"{stage}after_write")
        settled = _applied(intent, answer, "")
    return await _record_outcome(store, settled, now=now, stage=stage)


async def _record_outcome(store: Store, execution: Execution, *, now: Callable[[], datetime], stage: str) -> Execution:
    done = replace(execution, outcome_at=now())

    def job(con: Connection) -> None:
        executions.record_outcome(con, done)
        audit.append(
            con,
            at=done.outcome_at or done.intent_at,
            actor=done.requested_by,
            event="outcome",
            incident_id=done.incident_id,
            subject=done.change.target.key,
            detail={
                "execution": done.id,
                "kind": done.kind.value,
                "outcome": done.outcome.value,
                "detail": done.detail,
                "resource_version_after": done.resource_version_after,
            },
        )

    failpoint(f"{stage}before_outcome")
    await store.write(job)
    failpoint(f"{stage}after_outcome")
    return done


def _insert_intent(con: Connection, intent: Execution, plan: Plan) -> None:
    executions.insert_intent(con, intent)
    detail: Mapping[str, Json] = {
        "execution": intent.id,
        "kind": intent.kind.value,
        "plan": plan.id,
        "action": plan.action.kind,
        "digest": plan.digest,
        "uid": intent.change.target.uid,
        "resource_version": intent.change.resource_version,
        "verb": intent.change.verb.value,
        "paths": [op.path for op in intent.change.patch if op.op != "test"],
    }
    audit.append(
        con,
        at=intent.intent_at,
        actor=intent.requested_by,
        event="intent",
        incident_id=intent.incident_id,
        subject=intent.change.target.key,
        detail=detail,
    )


def _only_change(plan: Plan) -> Change:
    if len(plan.changes) != 1:
        raise PlanInvalid(f"{plan.id} has {len(plan.changes)} changes: exactly one object is written at a time")
    return plan.changes[0]


def _applied(execution: Execution, answer: LiveObject, detail: str) -> Execution:
    evicted = execution.change.verb is Verb.EVICT
    return replace(
        execution,
        outcome=ExecutionOutcome.APPLIED,
        detail=detail,
        resource_version_after=answer.resource_version,
        generation_after=answer.generation,
        base_hash_after="" if evicted else base_hash(answer.body),
    )


def _settled(execution: Execution, outcome: ExecutionOutcome, detail: str) -> Execution:
    return replace(execution, outcome=outcome, detail=detail)
