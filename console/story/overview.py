"""The first screenful: what happened, why, what changes, and how to take it back, each in a line or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from console.lines.formatting import Tone, age, clock, count, moment, state_tone
from console.reasoning import Node
from console.story.parts import fact
from console.story.terms import (
    PLAN_TONES,
    VERDICT_TONES,
    action_of,
    by_whom,
    cause_of,
    last_look,
    main_finding,
    ready_told,
    shortened,
    standing,
    terms_of,
    uninvestigated,
)
from responder.domain.execution import ExecutionKind
from responder.domain.plan import Plan
from responder.domain.undoing import kept, newest_undoable
from responder.domain.views import IncidentDetail

_OWNER_CHECK = "owner_will_revert"
"""Policy's question whether somebody sets the changed fields back by himself."""
_MOST_WARNINGS = 2


def overview(detail: IncidentDetail, now: datetime) -> tuple[Node, ...]:
    incident = detail.incident
    words = (incident.state.replace("_", " ").upper(), incident.outcome.replace("_", " "))
    state = Node(
        key="overview:state",
        label=": ".join(word for word in words if word) + "  ",
        label_tone=state_tone(incident.state),
        note=incident.id,
        tone=Tone.DIM,
    )
    return (state, *_what(detail), *_why(detail), *_change(detail), *_setting(detail, now))


def _line(label: str, text: str, tone: Tone = Tone.PLAIN, *, part: int = 0) -> Node:
    return fact(f"overview:{label}:{part}", label if not part else "", text, tone, is_tight=True)


def _what(detail: IncidentDetail) -> Iterator[Node]:
    incident = detail.incident
    yield _line("object", incident.key, Tone.STRONG)
    if incident.cause:
        more = f" and {incident.members - len(detail.members)} more" if incident.members > len(detail.members) else ""
        named = ", ".join(ref.key for ref in detail.members)
        yield _line("members", f"{incident.workloads} with {incident.cause}: {named}{more}")
    yield _line("what", shortened(incident.summary) or "nothing is known yet")


def _why(detail: IncidentDetail) -> Iterator[Node]:
    found = main_finding(detail)
    if found is None:
        yield _line("why", _no_cause(detail), Tone.WAITS)
        return
    run, finding = found
    cause = cause_of(finding)
    said = "sure of that" if cause in shortened(detail.incident.summary) else f"sure: {shortened(cause)}"
    cites = count(len(finding.evidence), "observation") if finding.evidence else "NO evidence"
    others = sum(len(each.findings) for each in last_look(detail.investigations)) - 1
    more = f"; {count(others, 'other finding')}" if others else ""
    yield _line("why", f"{finding.confidence:.0%} {said} ({by_whom(run)}, {cites}{more})", Tone.STRONG)


def _no_cause(detail: IncidentDetail) -> str:
    runs = last_look(detail.investigations)
    if not runs:
        return uninvestigated(detail.incident)
    return ": ".join(part for part in ("no cause is known", shortened(runs[-1].summary)) if part)


def _change(detail: IncidentDetail) -> Iterator[Node]:
    if not detail.plans:
        yield _line("change", "none is planned")
        return
    plan = detail.plans[-1].plan
    number = f" (attempt {len(detail.plans)})" if len(detail.plans) > 1 else ""
    tone = PLAN_TONES.get(plan.state, Tone.PLAIN)
    yield _line("change", f"{standing(plan, detail.executions)}: {action_of(plan)}{number}", tone)
    needs = f", needs {plan.approvers_needed} people" if plan.approvers_needed > 1 else ""
    yield _line("terms", f"{terms_of(plan)}{needs}", Tone.PLAIN if plan.reversible else Tone.BAD)
    yield from _owners(plan)
    yield from _came_of_it(detail)
    viewers = detail.plans[-1].viewers
    if viewers:
        told = ", ".join(f"{each.name}{' (deciding)' if each.deciding else ''}" for each in viewers)
        yield _line("looked at", f"by {told}", Tone.BUSY)


def _owners(plan: Plan) -> Iterator[Node]:
    """Who may set the change back, and what else a person should know beforehand."""
    for check in plan.checks:
        if check.name == _OWNER_CHECK:
            told = "no owner is known to set it back" if check.passed else check.detail
            yield _line("reverts", told, Tone.DIM if check.passed else Tone.WAITS)
    for number, warning in enumerate(plan.warnings[:_MOST_WARNINGS]):
        yield _line("warning", shortened(warning), Tone.WAITS, part=number)
    if len(plan.warnings) > _MOST_WARNINGS:
        more = len(plan.warnings) - _MOST_WARNINGS
        yield _line("warning", f"and {more} more, under 2 CHANGE", Tone.WAITS, part=_MOST_WARNINGS)


def _came_of_it(detail: IncidentDetail) -> Iterator[Node]:
    if not detail.executions:
        return
    view = detail.executions[-1]
    if view.verifications:
        look = view.verifications[-1]
        of = "the undo " if view.execution.kind is ExecutionKind.ROLLBACK else ""
        told = f"{of}{look.verdict.kind}: {shortened(look.verdict.reason)} ({ready_told(look)})"
        yield _line("verified", told, VERDICT_TONES.get(look.verdict.kind, Tone.BAD))
    yield _line("undo", _undo(detail))


def _undo(detail: IncidentDetail) -> str:
    undoable = newest_undoable(detail)
    if undoable is not None:
        return f"u shows and writes the inverse of {undoable.execution.id}"
    applied = [view.execution.id for view in detail.executions if view.execution.kind is ExecutionKind.APPLY]
    return kept(detail)[applied[-1]] if applied else "nothing was written"


def _setting(detail: IncidentDetail, now: datetime) -> Iterator[Node]:
    incident = detail.incident
    severity = f", severity {incident.severity}" if incident.severity else ""
    yield _line("alerts", _alert_names(detail) + severity)
    ended = f", resolved {clock(incident.resolved_at)}" if incident.resolved_at else ""
    since = age((now - incident.opened_at).total_seconds())
    yield _line("when", f"opened {since} ago, {moment(incident.opened_at)}{ended}")
    yield _line("rule", rule_of(detail))
    if incident.truncated_alerts:
        yield _line("note", f"the sender left out {incident.truncated_alerts} alerts of the group", Tone.WAITS)


def _alert_names(detail: IncidentDetail) -> str:
    counted = Counter(view.alert.name for view in detail.alerts)
    return ", ".join(name if times == 1 else f"{name} (x{times})" for name, times in counted.items()) or "none"


def rule_of(detail: IncidentDetail) -> str:
    if not detail.decisions:
        return "not matched yet"
    last = detail.decisions[-1]
    lowered = f" (the rule says {last.rule_mode})" if last.rule_mode != last.mode else ""
    return f"{last.rule or 'none matched'}, mode {last.mode}{lowered}"
