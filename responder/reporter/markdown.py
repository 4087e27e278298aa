"""One incident as Markdown: what a person files after an outage, or hands to somebody without a console. Pure.

In the order of the questions: what, why and on what evidence, what others changed, which rule, what was changed and how
that went, how to take it back, what happened when, what it cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from responder.domain.audit import AuditRecord
from responder.domain.execution import ExecutionKind, ExecutionOutcome
from responder.domain.investigation import Evidence, Finding, Investigation, Usage
from responder.domain.plan import Plan
from responder.domain.undoing import newest_undoable
from responder.domain.versions import fields_told, headline
from responder.domain.views import (
    AlertView,
    ExecutionView,
    IncidentDetail,
    InvestigationSummary,
    PlanView,
    Reasoning,
)
from responder.reporter.commonmark import fenced, heading, item, table
from responder.reporter.costs import told_cost, told_usage
from responder.reporter.terminal import last_look, told_action

_NOT_TOLD = frozenset({"digest", "fingerprint", "starts_at", "uid", "resource_version_after"})


def render_markdown(detail: IncidentDetail, reasoning: Reasoning) -> str:
    """Ends with a line feed. Times are UTC."""
    blocks: list[Sequence[str]] = [
        [heading(1, f"{detail.incident.key}: {_state(detail)}")],
        _facts(detail),
        *_why(detail, reasoning),
        *_alerts(detail.alerts),
        *_others(detail),
        *_rule(detail),
        *_changes(detail),
        *_rollback(detail),
        [heading(2, "Timeline")],
        table(("When", "Who", "What", "Details"), (_entry(entry) for entry in detail.timeline)),
        *_cost(detail.investigations),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _state(detail: IncidentDetail) -> str:
    return ", ".join(word.replace("_", " ") for word in (detail.incident.state, detail.incident.outcome) if word)


def _facts(detail: IncidentDetail) -> list[str]:
    incident = detail.incident
    members = ", ".join(ref.key for ref in detail.members)
    rows = [
        ("Incident", incident.id),
        ("Object", incident.key),
        ("Shared by", f"{incident.workloads} with {incident.cause}: {members}" if incident.cause else ""),
        ("State", _state(detail)),
        ("What", incident.summary or "nothing is known yet"),
        ("Severity", incident.severity),
        ("Rule", f"{incident.rule or 'none matched'}, mode {incident.mode or 'not decided'}"),
        ("Opened", _time(incident.opened_at)),
        ("Resolved", _time(incident.resolved_at)),
        ("Changes written", str(incident.attempts)),
    ]
    return table(("Fact", "Value"), (row for row in rows if row[1]))


def _why(detail: IncidentDetail, reasoning: Reasoning) -> Iterator[Sequence[str]]:
    yield [heading(2, "Why")]
    if not detail.investigations:
        yield ["Not investigated yet."]
    full = {run.id: run for run in reasoning.investigations}
    for run in last_look(detail.investigations):
        yield [heading(3, f"Run {run.number} by {_by(run)}: {run.conclusion.replace('_', ' ')}")]
        yield [
            *(_finding(finding) for finding in run.findings),
            *([] if run.findings else [item("summary", run.summary)]),
            *(item("ruled out", f"{fact.hypothesis}: {fact.because}") for fact in run.ruled_out),
            *(item("not checked", f"{hole.what}: {hole.why}") for hole in run.unchecked),
        ]
        yield from _evidence(run, full.get(run.id))
    consulted = detail.decisions[-1].consulted if detail.decisions else ()
    yield [item(f"{one.analyzer} {'answered' if one.answered else 'did not answer'}", one.why) for one in consulted]


def _finding(finding: Finding) -> str:
    place = f"container {finding.container}: " if finding.container else ""
    cites = ", ".join(finding.evidence) or "no evidence"
    unsupported = "UNSUPPORTED: " if finding.unsupported else ""
    return item(f"{finding.confidence:.0%}", f"{place}{finding.cause} ({unsupported}{cites})")


def _evidence(run: InvestigationSummary, full: Investigation | None) -> Iterator[Sequence[str]]:
    """What the findings cite, in full; of the rest, how much there is."""
    cited = {id_ for finding in run.findings for id_ in finding.evidence}
    found = [item for item in full.evidence if item.id in cited] if full is not None else []
    for observation in found:
        yield [item(observation.id, _about(observation))]
        yield fenced(observation.text)
    rest = run.evidence_count - len(found)
    if rest > 0:
        yield [item("not printed", f"{rest} observations that no finding cites: clopus show --reasoning has them")]


def _about(observation: Evidence) -> str:
    cut = ", cut" if observation.truncated else ""
    return f"{observation.kind}: {observation.source}, seen at {_time(observation.observed_at)}{cut}"


def _alerts(views: Iterable[AlertView]) -> Iterator[Sequence[str]]:
    yield [heading(2, "Alerts")]
    for view in views:
        alert = view.alert
        ended = f" until {_time(alert.ends_at)}" if alert.ends_at else ""
        yield [
            item(alert.name or "alert", f"{alert.status}, {alert.source}, since {_time(alert.starts_at)}{ended}"),
            *(item(name, value, depth=1) for name, value in sorted(alert.labels.items())),
            *(item(f"annotation {name}", value, depth=1) for name, value in sorted(alert.annotations.items())),
        ]


def _others(detail: IncidentDetail) -> Iterator[Sequence[str]]:
    if not detail.changes:
        return
    yield [heading(2, "What others changed around it")]
    opened = detail.incident.opened_at
    rows = (
        (_time(version.at), version.ref.key, headline(version, since=opened), fields_told(version))
        for version in detail.changes
    )
    yield table(("When", "Object", "What", "Fields"), rows)


def _rule(detail: IncidentDetail) -> Iterator[Sequence[str]]:
    if not detail.decisions:
        return
    yield [heading(2, "Rule")]
    for decision in detail.decisions:
        told = (
            f"{decision.rule or 'none matched'}, mode {decision.mode}, the rule says {decision.rule_mode or 'nothing'}"
        )
        yield [item(_time(decision.at), told), *(item("why", why, depth=1) for why in decision.why)]


def _changes(detail: IncidentDetail) -> Iterator[Sequence[str]]:
    for number, view in enumerate(detail.plans, start=1):
        plan = view.plan
        yield [heading(2, f"Change {number} of {len(detail.plans)}: {plan.id}, {plan.state}")]
        yield [item(*row) for row in _terms(plan)]
        yield fenced(plan.diff, "diff")
        if plan.checks:
            yield [heading(3, "Checks")]
            rows = ((check.name, "passed" if check.passed else "NOT PASSED", check.detail) for check in plan.checks)
            yield table(("Check", "Verdict", "Details"), rows)
        yield from _done(view, detail.executions)


def _terms(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "action", told_action(plan.action)
    for change in plan.changes:
        yield "object", change.target.key
    yield "because", plan.reason
    yield "risk", plan.risk
    yield "reversible", "yes" if plan.reversible else "NO"
    for warning in plan.warnings:
        yield "warning", warning
    for missing in plan.restores_not:
        yield "undoing does not restore", missing
    yield "digest", plan.digest


def _done(view: PlanView, executions: Iterable[ExecutionView]) -> Iterator[Sequence[str]]:
    told = [
        item("approved", f"by {one.approver} ({one.kind}) at {_time(one.decided_at)}, digest {one.digest}")
        for one in view.approvals
    ]
    yield [heading(3, "Approvals"), "", *(told or [item("approvals", f"none, {view.plan.approvers_needed} needed")])]
    for done in executions:
        if done.execution.plan_id == view.plan.id:
            yield from _execution(done)


def _execution(view: ExecutionView) -> Iterator[Sequence[str]]:
    execution = view.execution
    word = "Taken back" if execution.kind is ExecutionKind.ROLLBACK else "Applied"
    yield [heading(3, f"{word}: {execution.id}, outcome {execution.outcome.replace('_', ' ')}")]
    before = execution.baseline
    yield [
        item("requested by", execution.requested_by),
        item("written", _time(execution.intent_at)),
        item("before", f"{before.ready} of {before.desired} ready, {before.restarts} restarts"),
        *([item("details", execution.detail)] if execution.detail else []),
    ]
    if view.verifications:
        rows = (
            (
                f"{look.elapsed_seconds:.1f} s",
                look.verdict.kind.upper(),
                f"{look.ready} of {look.desired}",
                str(look.restarts),
                look.verdict.reason,
            )
            for look in view.verifications
        )
        yield table(("After", "Verdict", "Ready", "Restarts", "Why"), rows)


def _rollback(detail: IncidentDetail) -> Iterator[Sequence[str]]:
    yield [heading(2, "Rollback")]
    undoable = newest_undoable(detail)
    if undoable is not None:
        yield [item("take it back", f"clopus rollback {undoable.execution.id}")]
        return
    back = [view.execution for view in detail.executions if view.execution.kind is ExecutionKind.ROLLBACK]
    unknown = [view for view in detail.executions if view.execution.outcome is ExecutionOutcome.UNKNOWN]
    if back:
        yield [item("taken back", f"{one.id} by {one.requested_by}, outcome {one.outcome}") for one in back]
    elif unknown:
        yield [item("not possible", "whether the change was written is not known: a person has to look")]
    elif any(view.execution.outcome is ExecutionOutcome.APPLIED for view in detail.executions):
        yield [item("not possible", "the change has no inverse")]
    else:
        yield [item("nothing to take back", "nothing was written")]


def _entry(entry: AuditRecord) -> tuple[str, str, str, str]:
    return _time(entry.at), entry.actor, entry.event, _told(entry)


def _told(entry: AuditRecord) -> str:
    if not isinstance(entry.detail, dict):
        return str(entry.detail or "")
    told = [
        f"{name} {value}"
        for name, value in entry.detail.items()
        if name not in _NOT_TOLD and value not in ("", None) and not isinstance(value, list | dict)
    ]
    return ", ".join(told)


def _cost(runs: Sequence[InvestigationSummary]) -> Iterator[Sequence[str]]:
    yield [heading(2, "Reasoning and cost")]
    if not runs:
        yield ["None."]
        return
    rows = [
        (
            str(run.number),
            _by(run),
            run.conclusion.replace("_", " "),
            str(run.step_count),
            told_usage(run.usage) if run.usage else "",
            told_cost(run.cost_usd) if run.usage else "",
        )
        for run in runs
    ]
    usages = [run.usage for run in runs if run.usage is not None]
    if usages:
        total = sum(usages, Usage())
        rows.append(("", "all", "", "", told_usage(total), told_cost(sum(run.cost_usd for run in runs))))
    yield table(("Run", "By", "Conclusion", "Steps", "Tokens", "Cost"), rows)


def _by(run: InvestigationSummary) -> str:
    return f"{run.analyzer} ({run.model})" if run.model else run.analyzer


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""
