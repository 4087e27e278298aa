"""Take committed alerts in: find the root object of each, then fold them into incidents, a batch at a time.

The identity of the root is the watch's or the cluster's word; what an alert does to which incident is decided in
`folding`. One batch is one transaction, so an alert is never counted as processed without its incident.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from responder.analyzer.collect import resolve_root
from responder.detector.causes import causes_of, is_cause
from responder.detector.grouping import incident_key, target_of
from responder.domain.alert import Alert, AlertSource, is_proactive
from responder.domain.errors import ClusterUnavailable, PermanentError, TemporaryError
from responder.domain.incident import State
from responder.domain.refs import ObjectRef
from responder.pipeline.context import Context
from responder.pipeline.folding import Located, all_resolved, fold_batch
from responder.store import alerts, incidents
from responder.store.alerts import PendingAlert
from responder.store.store import Connection
from responder.telemetry import get_logger

log = get_logger("intake")

BATCH = 200


async def take_in(ctx: Context) -> bool:
    """Process one batch of pending alerts. True: there may be more.

    Raises:
        ClusterUnavailable: owners cannot be told now, and the alerts are young enough to wait.
    """
    pending = await ctx.store.read(lambda con: alerts.pending(con, BATCH))
    if not pending:
        ctx.metrics.alerts_pending.set(0)
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
    ctx.metrics.alerts_pending.set((await ctx.store.read(alerts.counts)).pending)
    return len(pending) == BATCH


async def _fold_all(ctx: Context, located: Sequence[Located]) -> None:
    folded = await ctx.store.write(lambda con: fold_batch(con, ctx, located))
    ctx.metrics.alerts.labels(result="processed").inc(len(located))
    ctx.metrics.incidents_opened.inc(folded.opened)
    for incident_id in folded.touched:
        ctx.queue.add(incident_id)


async def _fold_singly(ctx: Context, located: Sequence[Located]) -> None:
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


async def _locate(ctx: Context, pending: tuple[PendingAlert, ...]) -> list[Located]:
    targets = {target for item in pending if (target := _unknown_target(ctx, item.alert)) is not None}
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
    return [_located(ctx, item, roots) for item in pending]


def _unknown_target(ctx: Context, alert: Alert) -> ObjectRef | None:
    """The object whose root the API server has to tell: an alert of the watch names the root itself."""
    target = target_of(alert)
    if target is None or alert.source is AlertSource.KUBERNETES or ctx.sightings.owner(target) is not None:
        return None
    return target


def _located(ctx: Context, item: PendingAlert, roots: dict[ObjectRef, ObjectRef]) -> Located:
    target = target_of(item.alert)
    root = None if target is None else roots.get(target) or ctx.sightings.owner(target) or target
    causes: Iterable[str] = ()
    if root is not None and not is_proactive(item.alert.labels):
        seen = (cause for cause in ctx.sightings.causes(root) if is_cause(cause))
        causes = dict.fromkeys((*causes_of(item.alert), *seen))
    return Located(pending=item, root=root, key=incident_key(root, item.alert), causes=tuple(causes))


async def close_quiet(ctx: Context) -> None:
    """Close escalated incidents whose alerts have all resolved: the next episode opens one of its own."""

    def job(con: Connection) -> None:
        for incident_id in alerts.quiet_escalated(con):
            incident = incidents.get(con, incident_id)
            if incident.state is State.ESCALATED:
                all_resolved(con, incident, ctx.now())

    if await ctx.store.read(alerts.quiet_escalated):
        await ctx.store.write(job)
