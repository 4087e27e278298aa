"""What must hold of a whole run, told from three logs that know nothing of each other: an offline checker.

The API server's audit log says what took effect, the responder's database what it believes, and the log of the callers
what they sent and whether it was acknowledged. A call without an answer may or may not have happened; one that was
acknowledged has. Every violation is a sentence that begins with the number of the invariant.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from responder.domain.alert import Alert
from responder.domain.audit import AuditHead, AuditRecord, verify_chain
from responder.domain.execution import Execution, ExecutionKind, ExecutionOutcome
from responder.domain.incident import Incident
from responder.domain.manifest import EXECUTION_ANNOTATION
from responder.domain.plan import Approval, Plan
from responder.fixer.approval import POLICY, digest_of
from rig.world import Write

_MARK = f"/metadata/annotations/{EXECUTION_ANNOTATION.replace('/', '~1')}"
_KILL_SWITCH_DELAY = timedelta(seconds=1)
_RECORDED_AS = {"approve": "approved", "reject": "rejected", "roll_back": "rollback_requested"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of an operator."""

    what: str
    """approve, reject, roll_back, kill_switch_on or kill_switch_off."""
    by: str
    subject: str = ""
    """Id of the plan or of the execution."""
    sent: datetime
    answered: datetime
    acknowledged: bool | None
    """None: no answer came, so it may have happened."""

    @property
    def possible(self) -> bool:
        return self.acknowledged is not False


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One alert of one webhook call."""

    labels: Mapping[str, str]
    starts_at: datetime
    acknowledged: bool


@dataclass(frozen=True, kw_only=True)
class History:
    writes: tuple[Write, ...]
    calls: tuple[Call, ...]
    sent: tuple[Sent, ...]
    incidents: tuple[Incident, ...]
    alerts: tuple[tuple[str, Alert], ...]
    """With the id of the incident that each was counted to."""
    plans: tuple[Plan, ...]
    approvals: tuple[Approval, ...]
    """Used ones included."""
    executions: tuple[Execution, ...]
    records: tuple[AuditRecord, ...]
    head: AuditHead
    """As it stands outside the database."""
    report_only: frozenset[str]
    """Names of objects whose rule is in report mode."""
    by_hand: frozenset[str]
    """Names of objects whose rule is in dry-run mode."""

    @property
    def effective(self) -> tuple[Write, ...]:
        return tuple(write for write in self.writes if write.effective)

    def execution(self, execution_id: str) -> Execution | None:
        return next((e for e in self.executions if e.id == execution_id), None)

    def plan(self, plan_id: str) -> Plan | None:
        return next((p for p in self.plans if p.id == plan_id), None)


def violations(history: History) -> list[str]:
    return [
        *_accepted_alerts_are_kept(history),
        *_one_episode_one_incident(history),
        *_intent_comes_first(history),
        *_one_write_per_execution(history),
        *_what_is_written_was_approved(history),
        *_the_kill_switch_holds(history),
        *_modes_hold(history),
        *_everything_is_on_record(history),
    ]


def mark_of(write: Write) -> str:
    """The execution that a write names; '' where it names none."""
    found = (op.get("value", "") for op in write.body if op["path"] == _MARK)
    return next(found, "")


def _accepted_alerts_are_kept(history: History) -> Iterator[str]:
    kept = {(_key(alert.labels), alert.starts_at) for _, alert in history.alerts}
    for sent in history.sent:
        if sent.acknowledged and (_key(sent.labels), sent.starts_at) not in kept:
            yield f"inv 1: {dict(sent.labels)} was acknowledged and is in no incident"


def _one_episode_one_incident(history: History) -> Iterator[str]:
    stored = Counter((_key(a.labels), a.starts_at, a.status) for _, a in history.alerts)
    for (labels, starts_at, status), count in stored.items():
        if count > 1:
            yield f"inv 4: {dict(labels)} {status} since {starts_at} was counted {count} times"
    for key, group in itertools.groupby(sorted(history.incidents, key=_by_key), key=lambda i: i.key):
        for earlier, later in itertools.pairwise(group):
            if earlier.resolved_at is None or later.opened_at < earlier.resolved_at:
                yield f"inv 4: {key} has two incidents at once, {earlier.id} and {later.id}"
    made = Counter(
        (plan.incident_id, plan.action)
        for e in history.executions
        if e.kind is ExecutionKind.APPLY and e.outcome is ExecutionOutcome.APPLIED and (plan := history.plan(e.plan_id))
    )
    for (incident_id, action), count in made.items():
        if count > 1:
            yield f"inv 4: {incident_id} made {action.kind} {count} times"


def _intent_comes_first(history: History) -> Iterator[str]:
    for write in history.effective:
        execution = history.execution(mark_of(write))
        if execution is None:
            yield f"inv 11: a write to {write.name} took effect without any intent"
        elif execution.intent_at > write.received:
            yield f"inv 11: {execution.id} was written at {write.received}, its intent came at {execution.intent_at}"


def _one_write_per_execution(history: History) -> Iterator[str]:
    made = Counter(mark_of(write) for write in history.effective)
    for execution in history.executions:
        count = made[execution.id]
        match execution.outcome:
            case ExecutionOutcome.APPLIED if count != 1:
                yield f"inv 12: {execution.id} is on record as applied and took effect {count} times"
            case ExecutionOutcome.NOT_APPLIED if count:
                yield f"inv 13: {execution.id} is on record as not applied and took effect {count} times"
            case ExecutionOutcome.PENDING:
                yield f"inv 13: {execution.id} never got an outcome"
            case _ if count > 1:
                yield f"inv 12: {execution.id} took effect {count} times"


def _what_is_written_was_approved(history: History) -> Iterator[str]:
    for write in history.writes:
        execution = history.execution(mark_of(write))
        if write.dry_run or execution is None:
            continue
        plan = history.plan(execution.plan_id)
        if plan is None:
            yield f"inv 24: {execution.id} belongs to no plan"
            continue
        if digest_of(plan) != plan.digest:
            yield f"inv 24: {plan.id} is not what its digest says"
        if write.body != _bytes_of(plan, execution, write.body):
            yield f"inv 24: {execution.id} wrote something else than {plan.id} says"
        if execution.kind is ExecutionKind.APPLY and not any(_carries(a, plan, execution) for a in history.approvals):
            yield f"inv 24: nobody had approved {plan.id} when {execution.id} was begun"


def _bytes_of(plan: Plan, execution: Execution, sent: Any) -> list[dict[str, Any]]:
    """The request as the plan, the execution's frozen precondition and its mark make it; nothing else."""
    (change,) = plan.changes
    patch = change.patch if execution.kind is ExecutionKind.APPLY else change.inverse
    operations: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/uid", "value": change.target.uid},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": execution.change.resource_version},
        *({"op": op.op, "path": op.path} | ({} if op.op == "remove" else {"value": op.value}) for op in patch),
    ]
    # The map is made only where the object has none, which only the object itself could tell.
    empty: dict[str, Any] = {"op": "add", "path": "/metadata/annotations", "value": {}}
    if empty in sent:
        operations.append(empty)
    return [*operations, {"op": "add", "path": _MARK, "value": execution.id}]


def _carries(approval: Approval, plan: Plan, execution: Execution) -> bool:
    right = (approval.plan_id, approval.digest) == (plan.id, plan.digest)
    return right and approval.decided_at <= execution.intent_at < approval.expires_at


def _the_kill_switch_holds(history: History) -> Iterator[str]:
    switches = sorted((c for c in history.calls if c.what.startswith("kill_switch")), key=lambda c: c.sent)
    for on in switches:
        if on.what != "kill_switch_on" or not on.acknowledged:
            continue
        releases = (c.sent for c in switches if c.what == "kill_switch_off" and c.possible and c.sent > on.sent)
        until = next(releases, datetime.max.replace(tzinfo=UTC))
        for write in history.effective:
            if on.answered + _KILL_SWITCH_DELAY < write.received < until:
                yield f"inv 31: {mark_of(write)} was written at {write.received}, the switch was on since {on.answered}"


def _modes_hold(history: History) -> Iterator[str]:
    for write in history.writes:
        if write.name in history.report_only:
            yield f"inv 32: {write.verb} of {write.name}, which is in report mode"
    for write in history.effective:
        execution = history.execution(mark_of(write))
        if write.name not in history.by_hand or execution is None or execution.kind is not ExecutionKind.APPLY:
            continue
        if not any(a.plan_id == execution.plan_id and a.kind != POLICY for a in history.approvals):
            yield f"inv 32: {execution.id} changed {write.name}, which is in dry-run mode, without a human"


def _everything_is_on_record(history: History) -> Iterator[str]:
    report = verify_chain(history.records, history.head)
    if not report.ok:
        yield f"inv 46: {report.problem}"
    told = {(r.event, (r.detail or {}).get("execution")) for r in history.records if isinstance(r.detail, Mapping)}
    for execution in history.executions:
        for event in ("intent", "outcome"):
            if (event, execution.id) not in told:
                yield f"inv 46: the {event} of {execution.id} is not in the chain"
    yield from _calls_are_on_record(history)


def _calls_are_on_record(history: History) -> Iterator[str]:
    """An acknowledged decision is in the chain; one that is in the chain was made by somebody."""
    decided = Counter(
        (record.event, record.actor, str(record.detail.get("plan") or record.detail.get("execution")))
        for record in history.records
        if record.event in _RECORDED_AS.values() and isinstance(record.detail, Mapping)
    )
    made = set()
    for call in history.calls:
        if call.what not in _RECORDED_AS or not call.possible:
            continue
        made.add(decision := (_RECORDED_AS[call.what], call.by, call.subject))
        if call.acknowledged and not decided[decision]:
            yield f"inv 46: {call.by}'s {call.what} of {call.subject} was acknowledged and is not in the chain"
    for event, actor, subject in decided:
        if (event, actor, subject) not in made:
            yield f"inv 46: the chain says {actor} {event} {subject}, and nobody of that name did"


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _by_key(incident: Incident) -> tuple[str, datetime]:
    return incident.key, incident.opened_at
