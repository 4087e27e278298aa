"""Which moves people hear of, and the fan-out to the notifiers."""

from __future__ import annotations

from responder.domain.incident import Incident, State
from responder.pipeline.context import Context
from responder.reporter.report import build_report
from responder.store import executions, incidents, investigations, plans
from responder.telemetry import get_logger

log = get_logger("pipeline")

_WORTH_TELLING = frozenset({State.AWAITING_APPROVAL, State.ESCALATED, State.RESOLVED})


async def notify(ctx: Context, before: State, incident: Incident) -> None:
    """Tell the rule's notifiers when an incident waits for a human or has ended."""
    if incident.state is before or incident.state not in _WORTH_TELLING:
        return
    rule = ctx.rule_named(incident.rule)
    wanted = [notifier for notifier in ctx.notifiers if notifier.name in rule.notify]
    if not wanted:
        return
    report = build_report(
        incident,
        investigation=await ctx.store.read(lambda con: investigations.latest(con, incident.id)),
        plan=await ctx.store.read(lambda con: plans.latest_open(con, incident.id)),
        executions=await ctx.store.read(lambda con: executions.of_incident(con, incident.id)),
        verdicts=await ctx.store.read(lambda con: executions.last_verdicts(con, [incident.id])),
        members=await ctx.store.read(lambda con: incidents.members(con, incident.id)),
    )
    for notifier in wanted:
        try:
            await notifier.notify(report)
        except Exception:
            log.exception("notifier failed", notifier=notifier.name)
            ctx.metrics.reconcile_errors.labels(error="notifier").inc()
