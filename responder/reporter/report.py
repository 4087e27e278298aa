"""One incident for people: what happened, why, what will change, how to take it back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from responder.domain import undoing
from responder.domain.execution import Execution, VerdictKind
from responder.domain.incident import Incident, State
from responder.domain.investigation import Investigation
from responder.domain.plan import Plan, PlanState
from responder.domain.refs import ObjectRef


@dataclass(frozen=True, kw_only=True)
class Report:
    incident: Incident
    what: str
    members: tuple[str, ...]
    """Workloads that share the cause, the first of them; empty where the incident is about one object."""
    why: tuple[str, ...]
    """Findings, most confident first, each with the ids of its evidence."""
    unknown: tuple[str, ...]
    """What could not be checked."""
    change: str
    """Diff of the plan that waits or was applied; '' without."""
    next: str
    """What the reader can do now, as a command where there is one."""


def build_report(
    incident: Incident,
    *,
    investigation: Investigation | None = None,
    plan: Plan | None = None,
    executions: tuple[Execution, ...] = (),
    verdicts: Mapping[str, VerdictKind] | None = None,
    members: tuple[ObjectRef, ...] = (),
) -> Report:
    """`executions` are oldest first; `verdicts` has the kind of the last look at each that was looked at."""
    findings = investigation.findings if investigation else ()
    return Report(
        incident=incident,
        what=incident.summary or incident.key,
        members=tuple(ref.key for ref in members),
        why=tuple(
            f"{finding.cause} (confidence {finding.confidence:.0%}, evidence {', '.join(finding.evidence) or 'none'})"
            for finding in findings
        ),
        unknown=tuple(f"{hole.what}: {hole.why}" for hole in (investigation.unchecked if investigation else ())),
        change=plan.diff if plan else "",
        next=_next_step(incident, plan, executions, verdicts or {}),
    )


def _next_step(
    incident: Incident, plan: Plan | None, executions: tuple[Execution, ...], verdicts: Mapping[str, VerdictKind]
) -> str:
    if plan is not None and plan.state is PlanState.PROPOSED and incident.state is State.AWAITING_APPROVAL:
        return f"clopus approve {plan.id} --digest {plan.digest[:12]}   or   clopus reject {plan.id} --reason ..."
    for execution in reversed(executions):
        if not undoing.keeps(execution, done=executions, verdicts=verdicts, state=incident.state):
            return f"clopus rollback {execution.id}"
    if incident.state is State.ESCALATED:
        return f"a human has to look: clopus show {incident.id}"
    return ""
