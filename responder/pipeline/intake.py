"""Fold committed alerts into incidents: find the root object, the episode, and open, join or resolve.

The identity of the root is read from the cluster; which episode an alert belongs to is `detector.grouping`'s decision.
One batch is one transaction, so an alert is never counted as processed without its incident.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from responder.analyzer.collect import resolve_root
from responder.detector.grouping import Fold, KnownAlert, KnownEpisode, fold, incident_key, target_of
from responder.domain.alert import Alert
from responder.domain.errors import ClusterUnavailable, PermanentError, TemporaryError
from responder.domain.incident import IN_FLIGHT_STATES, Incident, Outcome, State
from responder.domain.incident import Event as Move
from responder.domain.plan import PlanState
from responder.domain.refs import ObjectRef
from responder.pipeline.context import Context, moved, replace_times
from responder.store import alerts, audit, incidents, plans
from responder.store.alerts import PendingAlert
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("intake")

BATCH = 200
SOURCE_LABEL = "__source__"
"""Pseudo-label of an incident: where its first alert came from. Prometheus keeps names with `__` for itself."""

_HEARTBEAT_SEVERITY = "none"
"""kube-prometheus gives it to Watchdog and InfoInhibitor, which fire while all is well."""


_LOOK_AGAIN = frozenset(
    {
        Outcome.REPORTED,
        Outcome.UNFIXABLE,
        Outcome.UNEXPLAINED,
        Outcome.EXPIRED,
        Outcome.REFUSED,
        Outcome.STALE,
        Outcome.FAILED,
    }
)


@dataclass(frozen=True, kw_only=True)
class _Located:
    pending: PendingAlert
    root: ObjectRef | None


async def take_in(ctx: Context) -> bool:
    """Process one batch of pending alerts. True: there may be more.

    Raises:
        ClusterUnavailable: owners cannot be told now, and the alerts are young enough to wait.
    """
    pending = await ctx.store.read(lambda con: alerts.pending(con, BATCH))
    if not pending:
        return False
    located = await _locate(ctx, pending)
    try:
        await _fold_all(ctx, located)
    except TemporaryError:
        raise
    except Exception as exc:
        # One alert must not hold up the others: fold them one by one and set aside the one that cannot be.
        log.exception("a batch of alerts could not be folded", alerts=len(located))
        ctx.metrics.reconcile_errors.labels(error=type(exc).__name__).inc()
        await _fold_singly(ctx, located)
    return len(pending) == BATCH


async def _fold_all(ctx: Context, located: list[_Located]) -> None:
    touched = await ctx.store.write(lambda con: _fold_batch(con, ctx, located))
    ctx.metrics.alerts.labels(result="processed").inc(len(located))
    for incident_id in touched:
        ctx.queue.add(incident_id)


async def _fold_singly(ctx: Context, located: list[_Located]) -> None:
    for item in located:
        try:
            await _fold_all(ctx, [item])
        except TemporaryError:
            raise
        except Exception as exc:
            seq, reason = item.pending.seq, f"{type(exc).__name__}: {exc}"
            log.exception("an alert cannot be folded and is quarantined", seq=seq)
            ctx.metrics.alerts.labels(result="quarantined").inc()
            await ctx.store.write(lambda con, seq=seq, why=reason: alerts.quarantine(con, seq, why))  # type: ignore[misc]


async def _locate(ctx: Context, pending: tuple[PendingAlert, ...]) -> list[_Located]:
    targets = {target for item in pending if (target := target_of(item.alert)) is not None}
    gate = asyncio.Semaphore(8)

    async def root_of(target: ObjectRef) -> ObjectRef:
        async with gate:
            try:
                return await resolve_root(ctx.cluster, target)
            except PermanentError as exc:
                log.warning("owner cannot be told", target=target.key, problem=str(exc))
                return target
            except ClusterUnavailable:
                oldest = min(item.received_at for item in pending)
                if (ctx.now() - oldest).total_seconds() < ctx.options.resolve_patience_seconds:
                    raise
                log.warning("owner cannot be told: the API server does not answer", target=target.key)
                return target

    ordered = sorted(targets)
    roots = dict(zip(ordered, await asyncio.gather(*(root_of(target) for target in ordered)), strict=True))
    located = []
    for item in pending:
        target = target_of(item.alert)
        located.append(_Located(pending=item, root=roots[target] if target is not None else None))
    return located


def _fold_batch(con: Connection, ctx: Context, located: list[_Located]) -> tuple[str, ...]:
    touched: dict[str, None] = {}
    for item in located:
        if item.pending.alert.severity == _HEARTBEAT_SEVERITY:
            alerts.mark_processed(con, (item.pending.seq,), None, "heartbeat")
            continue
        incident_id = _fold_one(con, ctx, item)
        if incident_id is not None:
            touched[incident_id] = None
    return tuple(touched)


def _fold_one(con: Connection, ctx: Context, item: _Located) -> str | None:
    """The incident that has work to do now, if any."""
    alert, at = item.pending.alert, ctx.now()
    key = incident_key(item.root, alert)
    current = incidents.find_open(con, key)
    verdict = fold(alert, _known(con, item.pending, key, current), now=at, grace_seconds=ctx.options.grace_seconds)
    seqs = (item.pending.seq,)
    if verdict in (Fold.OPENS, Fold.JOINS):
        if current is None:
            return _open(con, ctx, item, key)
        return _join(con, ctx, item, current)
    alerts.mark_processed(con, seqs, current.id if current else None, verdict.value)
    if verdict is not Fold.RESOLVES or current is None:
        return None
    _audit(con, ctx, "alert_resolved", current, alert)
    return _alert_resolved(con, ctx, current)


def _open(con: Connection, ctx: Context, item: _Located, key: str) -> str:
    incident = _opened(ctx, item, key)
    incidents.insert(con, incident)
    alerts.mark_processed(con, (item.pending.seq,), incident.id, Fold.OPENS.value)
    _audit(con, ctx, "incident_opened", incident, item.pending.alert)
    ctx.metrics.incidents_opened.inc()
    return incident.id


def _join(con: Connection, ctx: Context, item: _Located, current: Incident) -> str | None:
    """The incident's id where the alert is reason enough to look again."""
    quiet = not alerts.firing_count(con, current.id)
    alerts.mark_processed(con, (item.pending.seq,), current.id, Fold.JOINS.value)
    truncated = max(current.truncated_alerts, item.pending.truncated_alerts)
    joined = replace(current, truncated_alerts=truncated)
    again = _worth_another_look(ctx, current, quiet=quiet)
    if again:
        joined = moved(joined, Move.INVESTIGATE, outcome=Outcome.NONE)
    if joined != current:
        incidents.update(con, replace_times(joined, ctx.now()))
    _audit(con, ctx, "alert_joined", current, item.pending.alert)
    return current.id if again else None


def _worth_another_look(ctx: Context, current: Incident, *, quiet: bool) -> bool:
    """An incident that was handed to a human over what could be seen then, not over a change or a decision."""
    if current.state is not State.ESCALATED or current.outcome not in _LOOK_AGAIN:
        return False
    return quiet or (ctx.now() - current.updated_at).total_seconds() >= ctx.options.grace_seconds


def _known(con: Connection, item: PendingAlert, key: str, current: Incident | None) -> KnownEpisode | None:
    last = None if current is not None else incidents.last_resolved(con, key)
    previous = alerts.previous(con, item.seq, item.alert)
    if current is None and last is None and previous is None:
        return None
    return KnownEpisode(
        open=current is not None,
        resolved_at=last.resolved_at if last is not None else None,
        alert=None
        if previous is None
        else KnownAlert(status=previous.status, starts_at=previous.starts_at, ends_at=previous.ends_at),
    )


def _opened(ctx: Context, item: _Located, key: str) -> Incident:
    alert, at = item.pending.alert, ctx.now()
    return Incident(
        id=ctx.mint("inc"),
        key=key,
        root=item.root,
        summary=alert.annotations.get("summary", "") or f"{alert.name} on {key}",
        severity=alert.severity,
        namespace=item.root.namespace if item.root is not None else alert.namespace,
        labels={**alert.labels, SOURCE_LABEL: alert.source.value},
        opened_at=at,
        updated_at=at,
        truncated_alerts=item.pending.truncated_alerts,
    )


def _alert_resolved(con: Connection, ctx: Context, incident: Incident) -> str | None:
    """Close the incident when its last alert has resolved; a change that is half done still runs to its own end."""
    if alerts.firing_count(con, incident.id):
        return None
    if incident.state in IN_FLIGHT_STATES or incident.state is State.RESOLVED:
        return incident.id
    waiting = plans.latest_open(con, incident.id)
    if waiting is not None:
        plans.set_state(con, waiting.id, PlanState.CANCELLED)
    outcome = Outcome.ALERT_RESOLVED if incident.outcome is Outcome.NONE else incident.outcome
    ended = moved(incident, Move.RESOLVE, outcome=outcome)
    incidents.update(con, replace_times(ended, ctx.now()))
    audit.append(
        con,
        at=ctx.now(),
        actor="clopus",
        event="resolved_by_alert",
        incident_id=incident.id,
        subject=incident.key,
        detail={"state": ended.state.value, "cancelled_plan": waiting.id if waiting else ""},
    )
    return None


def _audit(con: Connection, ctx: Context, event: str, incident: Incident, alert: Alert) -> None:
    audit.append(
        con,
        at=ctx.now(),
        actor="clopus",
        event=event,
        incident_id=incident.id,
        subject=incident.key,
        detail={"alertname": alert.name, "fingerprint": alert.fingerprint, "starts_at": alert.starts_at.isoformat()},
    )


async def close_quiet(ctx: Context) -> None:
    """Close escalated incidents whose alerts have all resolved: the next episode opens one of its own."""

    def job(con: Connection) -> None:
        for incident_id in alerts.quiet_escalated(con):
            incident = incidents.get(con, incident_id)
            if incident.state is State.ESCALATED:
                _alert_resolved(con, ctx, incident)

    if await ctx.store.read(alerts.quiet_escalated):
        await ctx.store.write(job)
