"""One incident as plain text for a terminal of 80 columns or more. Pure; used by the command line and the demo.

Text from the cluster can never drive the terminal: every string passes `visible` first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from responder.domain.audit import AuditRecord
from responder.domain.execution import ExecutionKind, Verification
from responder.domain.plan import Plan, PlanState
from responder.domain.views import (
    ExecutionView,
    IncidentDetail,
    InvestigationSummary,
    PlanView,
    Reasoning,
)
from responder.domain.visible import visible

_DETAIL_WIDTH = 160


def render_detail(detail: IncidentDetail) -> str:
    """What happened, why, what will change, how to take it back; then the timeline."""
    incident = detail.incident
    head = [
        f"{incident.id}  {incident.state.value.upper()}  {incident.outcome.value}".rstrip(),
        _line("object", incident.key),
        _line("what", incident.summary),
        _line("rule", f"{incident.rule or '(none: report)'}, mode {incident.mode or '-'}"),
        _line(
            "opened",
            _time(incident.opened_at) + (f", resolved {_time(incident.resolved_at)}" if incident.resolved_at else ""),
        ),
        _line("alerts", ", ".join(sorted({view.alert.name for view in detail.alerts})) or "-"),
    ]
    if incident.truncated_alerts:
        head.append(_line("note", f"the sender left out {incident.truncated_alerts} alerts of the group"))
    blocks = ["\n".join(head)]
    if detail.investigations:
        blocks.append(_section("WHY", _why(detail.investigations[-1])))
    for view in detail.plans:
        blocks.append(_section(f"PLAN {view.plan.id}  {view.plan.state.value}", _plan(view)))
    for execution in detail.executions:
        blocks.append(
            _section(f"{execution.execution.kind.value.upper()} {execution.execution.id}", _execution(execution))
        )
    blocks.append(_section("NEXT", iter([_next(detail)])))
    blocks.append(_section("TIMELINE", (_audit(entry) for entry in detail.timeline)))
    return "\n\n".join(block for block in blocks if block)


def render_plan(plan: Plan) -> str:
    return "\n".join(_plan(PlanView(plan=plan)))


def render_reasoning(reasoning: Reasoning) -> str:
    """Every investigation: its steps in order, then the evidence that they cite."""
    blocks = []
    for run in reasoning.investigations:
        lines = [f"INVESTIGATION {run.number} by {run.analyzer}: {run.conclusion.value}: {visible(run.summary)}"]
        lines += [f"  {step.number:>3} {step.kind.value:<12} {visible(step.text)}" for step in run.steps]
        for evidence in run.evidence:
            cut = " (cut)" if evidence.truncated else ""
            lines.append(f"  [{evidence.id}] {evidence.kind.value}: {visible(evidence.source)}{cut}")
            lines += [f"       {visible(line)}" for line in evidence.text.splitlines()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _why(run: InvestigationSummary) -> Iterator[str]:
    yield f"{run.conclusion.value}: {visible(run.summary)}"
    for finding in run.findings:
        place = f" (container {finding.container})" if finding.container else ""
        cites = ", ".join(finding.evidence) or "no evidence"
        yield f"- {finding.confidence:.0%} {finding.signature}{visible(place)}: {visible(finding.cause)} [{cites}]"
    for fact in run.ruled_out:
        yield f"- ruled out: {visible(fact.hypothesis)}: {visible(fact.because)}"
    for hole in run.unchecked:
        yield f"- not checked: {visible(hole.what)}: {visible(hole.why)}"
    for proposal in run.proposals:
        yield f"- proposed: {proposal.action.kind}: {visible(proposal.reason)}"


def _plan(view: PlanView) -> Iterator[str]:
    plan = view.plan
    yield f"{plan.action.kind}: {visible(plan.reason)}"
    yield f"risk {plan.risk}, {'reversible' if plan.reversible else 'IRREVERSIBLE'}, digest {plan.digest[:12]}"
    for warning in plan.warnings:
        yield f"warning: {visible(warning)}"
    for missing in plan.restores_not:
        yield f"undo does not restore: {visible(missing)}"
    for check in plan.checks:
        yield f"{'pass' if check.passed else 'NO  '} {check.name}: {visible(check.detail)}"
    yield ""
    yield from plan.diff.splitlines()
    for approval in view.approvals:
        yield f"{approval.kind} {visible(approval.approver)} at {_time(approval.decided_at)}"


def _execution(view: ExecutionView) -> Iterator[str]:
    execution = view.execution
    verb = "taken back" if execution.kind is ExecutionKind.ROLLBACK else "applied"
    yield f"{verb} by {visible(execution.requested_by)} at {_time(execution.intent_at)}: {execution.outcome.value}"
    if execution.detail:
        yield visible(execution.detail)
    if view.verifications:
        yield _verification(view.verifications[-1])


def _verification(look: Verification) -> str:
    return (
        f"verification {look.verdict.kind.value} after {look.elapsed_seconds:.1f} s ({look.number} looks, "
        f"{look.ready} of {look.desired} ready): {visible(look.verdict.reason)}"
    )


def _next(detail: IncidentDetail) -> str:
    for view in reversed(detail.plans):
        if view.plan.state is PlanState.PROPOSED:
            approve = f"clopus approve {view.plan.id} --digest {view.plan.digest[:12]}"
            return f"{approve}\nclopus reject {view.plan.id} --reason ..."
    undone = {v.execution.plan_id for v in detail.executions if v.execution.kind is ExecutionKind.ROLLBACK}
    for execution in (view.execution for view in reversed(detail.executions)):
        if execution.kind is ExecutionKind.APPLY and execution.plan_id not in undone and execution.change.inverse:
            return f"take it back: clopus rollback {execution.id}"
    return f"look again: clopus investigate {detail.incident.id}"


def _audit(entry: AuditRecord) -> str:
    detail = entry.detail if isinstance(entry.detail, str) else json.dumps(entry.detail)
    shown = visible(detail)
    if len(shown) > _DETAIL_WIDTH:
        shown = shown[:_DETAIL_WIDTH] + " ..."
    return f"{_time(entry.at)}  {visible(entry.actor):<12} {entry.event:<22} {shown}"


def _section(title: str, lines: Iterator[str]) -> str:
    return title + "\n" + "\n".join(f"  {part}" for line in lines for part in (line.split("\n") or [""]))


def _line(name: str, value: str) -> str:
    return f"{name:<8} {visible(value)}"


def _time(at: object) -> str:
    return str(at)[:19].replace("T", " ")
