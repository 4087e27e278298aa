"""The facts that guard and policy judge by: budgets already used, changes in flight, breakers. Read from the store.

Whether they allow something is `fixer.guard`'s decision; when a breaker opens is decided here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from responder.domain.alert import is_proactive
from responder.domain.errors import Forbidden
from responder.domain.execution import VerdictKind
from responder.domain.incident import ACTIVE_STATES, Incident
from responder.domain.plan import PlanState
from responder.domain.refs import WORKLOAD_KINDS, ObjectRef
from responder.domain.rule import Mode, Rule
from responder.fixer.guard import PolicyFacts
from responder.pipeline.context import Context
from responder.store import audit, executions, incidents, modes, plans
from responder.store.store import Connection

FAILED_VERIFICATIONS_IN_A_ROW = 2
ALERTING_SHARE = 0.4
ALERTING_MINIMUM = 5
"""A share says little about a namespace of three workloads: below this many the second breaker stays closed."""

_NOT_PASSED = frozenset({VerdictKind.FAILED, VerdictKind.UNKNOWN, VerdictKind.REVERTED})


def effective_mode(ctx: Context, rule: Rule, incident: Incident) -> Mode:
    """What is left of the rule's mode under the brakes and under the incident's own ceiling."""
    return ctx.brakes.effective(rule.mode, incident.namespace).lowered_to(own_ceiling(incident)[0])


def own_ceiling(incident: Incident) -> tuple[Mode, str]:
    """How far any rule may go because of what the incident is, and why; autonomous and '' where nothing limits it."""
    if is_proactive(incident.labels):
        return Mode.REPORT, "nothing is wrong yet: a warning of what may come is only reported"
    if incident.cause:
        return Mode.DRY_RUN, f"{incident.cause} is the cause of several failures: a change is a human's decision"
    return Mode.AUTONOMOUS, ""


async def policy_facts(ctx: Context, incident: Incident, root: ObjectRef, rule: Rule) -> PolicyFacts:
    at, brakes = ctx.now(), ctx.brakes.settings

    def read(con: Connection) -> PolicyFacts:
        def used(seconds: float, **where: str) -> int:
            return executions.count_since(con, at - timedelta(seconds=seconds), **where)

        in_flight = tuple(execution for execution in executions.in_flight(con) if execution.incident_id != incident.id)
        # Approved and not yet written: the budget is spoken for, though no execution shows it yet.
        coming = [p for p in plans.page(con, states=(PlanState.APPROVED,), limit=500) if p.incident_id != incident.id]
        coming = [p for p in coming if not executions.of_plan(con, p.id)]
        busy = [*(e.incident_id for e in in_flight), *(p.incident_id for p in coming)]
        here = sum(p.action.target.namespace == root.namespace for p in coming)
        same_rule = {i.id for i in _of_rule(con, rule.name)}
        return PolicyFacts(
            workload_actions=used(rule.budget.per_workload.seconds, workload_key=root.key),
            namespace_actions=used(rule.budget.per_namespace.seconds, namespace=root.namespace) + here,
            cluster_actions=used(rule.budget.per_cluster.seconds) + len(coming),
            workload_in_flight=any(execution.change.target.same_name(root) for execution in in_flight),
            rule_in_flight=sum(one in same_rule for one in busy),
            breaker=brakes.breaker(root.namespace),
            kill_switch=brakes.kill_switch,
            protected_namespaces=ctx.options.protected_namespaces | ({ctx.options.own_namespace} - {""}),
            alert_namespace=incident.namespace,
            root=root,
            truncated_alerts=incident.truncated_alerts,
            shared_cause=incident.cause,
        )

    return await ctx.store.read(read)


def _of_rule(con: Connection, rule: str) -> tuple[Incident, ...]:
    page, _ = incidents.page(con, states=tuple(ACTIVE_STATES), rule=rule, limit=500)
    return page


async def open_breakers(ctx: Context, namespace: str) -> None:
    """Open the breakers whose condition holds now. Only a human closes one: `clopus mode --reset-breakers`."""
    since = ctx.brakes.settings.breakers_reset_at
    verdicts = await ctx.store.read(
        lambda con: executions.recent_verdicts(con, FAILED_VERIFICATIONS_IN_A_ROW, since=since)
    )
    if len(verdicts) == FAILED_VERIFICATIONS_IN_A_ROW and all(kind in _NOT_PASSED for kind in verdicts):
        await _open(ctx, "*", f"{FAILED_VERIFICATIONS_IN_A_ROW} verifications in a row did not pass")
    alerting = await ctx.store.read(lambda con: incidents.alerting_objects(con, namespace))
    if alerting < ALERTING_MINIMUM or ctx.brakes.settings.breaker(namespace):
        return
    workloads = await _workloads(ctx, namespace)
    if alerting > ALERTING_SHARE * workloads:
        await _open(ctx, namespace, f"{alerting} of {workloads} workloads of the namespace are alerting")


async def _workloads(ctx: Context, namespace: str) -> int:
    """How many there are; 0 where they may not be counted, so that the breaker errs on the careful side."""
    try:
        return sum([len(await ctx.cluster.list(kind, namespace)) for kind in WORKLOAD_KINDS])
    except Forbidden:
        return 0


async def _open(ctx: Context, scope: str, reason: str) -> None:
    at = ctx.now()
    async with ctx.brakes.changing:
        if ctx.brakes.settings.breakers.get(scope):
            return
        settings = replace(ctx.brakes.settings, breakers={**ctx.brakes.settings.breakers, scope: reason})

        def job(con: Connection) -> None:
            modes.put(con, settings)
            audit.append(con, at=at, actor="clopus", event="breaker_opened", subject=scope, detail={"reason": reason})

        ctx.brakes.settings = settings
        await ctx.store.write(job)
    ctx.metrics.breaker_open.set(1)
