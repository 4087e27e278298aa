"""The running pipeline: workers on the queue, the intake loop, and recovery at the start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from responder.domain.errors import (
    PermanentError,
    QueueFull,
    ResponderError,
    StoreUnavailable,
    Superseded,
    TemporaryError,
)
from responder.domain.incident import ACTIVE_STATES, IN_FLIGHT_STATES, Incident, Outcome, State
from responder.domain.incident import Event as Move
from responder.domain.mode import ModeSettings
from responder.domain.plan import Plan
from responder.domain.rule import Mode, RuleSet
from responder.pipeline import operations
from responder.pipeline.applying import settle_orphans
from responder.pipeline.context import Context, Step, commit, moved
from responder.pipeline.intake import close_quiet, take_in
from responder.pipeline.reconcile import reconcile
from responder.rules.matcher import Explanation, MatchResult
from responder.store import alerts, incidents
from responder.telemetry import get_logger

log = get_logger("pipeline")

_IN_FLIGHT_TRIES = 5
_PATIENCE_SECONDS = 900.0
"""How long an incident may wait for a cluster that cannot be read before a human is told."""

_SWEEP_SECONDS = 15.0
"""How often every active incident is looked at again, whatever the queue holds."""


class Pipeline:
    """One per process. `start` recovers and enqueues every active incident; `stop` ends within its deadline."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._tasks: list[asyncio.Task[None]] = []
        self._in_step: set[asyncio.Task[Any]] = set()
        self._background: set[asyncio.Task[object]] = set()
        self._intake_wakeup = asyncio.Event()
        self._stopping = False
        self.pending_alerts = 0
        """Committed and not folded yet, as last counted."""

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._intake(), name="intake"),
            asyncio.create_task(self._sweep(), name="sweep"),
            *(asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(self._ctx.options.workers)),
        ]
        self.alerts_accepted()

    async def stop(self, *, within_seconds: float) -> None:
        """Finish what is in the middle of a step, then end. What is cut off is recovered at the next start."""
        self._stopping = True
        self._ctx.queue.close()
        everything = {*self._tasks, *self._background}
        for task in everything - self._in_step:
            task.cancel()
        if self._in_step:
            await asyncio.wait(self._in_step, timeout=within_seconds)
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    @property
    def failed(self) -> str:
        """The name of a task that ended though it must not; '' while all is well. Readiness reads this."""
        dead = [task for task in self._tasks if task.done()]
        return "" if self._stopping or not dead else dead[0].get_name()

    def alerts_accepted(self) -> None:
        """Called by the webhook after its commit: there are alerts to fold."""
        self._intake_wakeup.set()

    def background(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something small beside the workers; its failure is logged, and `stop` ends it."""

        def ended(task: asyncio.Task[object]) -> None:
            self._background.discard(task)
            if not task.cancelled() and task.exception() is not None:
                log.critical("background work failed", problem=str(task.exception()))

        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(ended)

    async def approve(self, plan_id: str, digest: str, approver: str) -> Plan:
        return await operations.approve(self._ctx, plan_id, digest=digest, approver=approver)

    async def reject(self, plan_id: str, reason: str, approver: str) -> Plan:
        return await operations.reject(self._ctx, plan_id, reason=reason, approver=approver)

    async def roll_back(self, execution_id: str, requested_by: str) -> Incident:
        return await operations.roll_back(self._ctx, execution_id, requested_by=requested_by)

    async def drift(self, plan: Plan) -> str:
        """Why a plan that waits would not be made any more; '' as far as is known."""
        return await operations.drift(self._ctx, plan)

    async def investigate_again(self, incident_id: str, requested_by: str) -> Incident:
        return await operations.investigate_again(self._ctx, incident_id, requested_by=requested_by)

    async def set_mode(
        self, change: Callable[[ModeSettings], ModeSettings], by: str, *, seen: str = ""
    ) -> ModeSettings:
        return await operations.set_mode(self._ctx, change, by=by, seen=seen)

    def mode(self) -> ModeSettings:
        return self._ctx.brakes.settings

    def effective_mode(self, rule_mode: Mode, namespace: str) -> Mode:
        return self._ctx.brakes.effective(rule_mode, namespace)

    @property
    def rule_set(self) -> RuleSet:
        return self._ctx.rules.rule_set

    def explain(self, labels: dict[str, str], source: str) -> MatchResult:
        return self._ctx.rules.current.match(labels, source)

    def explain_each(self, labels: dict[str, str], source: str) -> tuple[Explanation, ...]:
        """Every rule's answer, in order of precedence."""
        return self._ctx.rules.current.explain(labels, source)

    async def _work(self) -> None:
        queue, worker = self._ctx.queue, asyncio.current_task()
        assert worker is not None
        while not self._stopping:
            incident_id = await queue.get()
            started = self._ctx.monotonic()
            self._in_step.add(worker)
            try:
                pause = await self._step(incident_id)
            finally:
                self._in_step.discard(worker)
                queue.done(incident_id)
                self._ctx.metrics.reconcile_seconds.observe(self._ctx.monotonic() - started)
            if pause is not None and not self._stopping:
                queue.add_after(incident_id, pause)

    async def _step(self, incident_id: str) -> float | None:
        """One step with every error turned into a back-off or an escalation: a worker never dies of an incident."""
        ctx = self._ctx
        try:
            pause = await reconcile(ctx, incident_id)
        except TemporaryError as exc:
            if await self._waited_too_long(incident_id, exc):
                return None
            delay = ctx.queue.add_failed(
                incident_id, at_least_seconds=exc.delay_seconds if exc.delay_seconds > 1 else 0
            )
            ctx.metrics.reconcile_errors.labels(error=type(exc).__name__).inc()
            log.warning("step put off", incident=incident_id, problem=str(exc), again_in_seconds=round(delay, 1))
            return None
        except PermanentError as exc:
            await self._give_up(incident_id, exc)
            return None
        except Exception as exc:
            log.exception("step failed", incident=incident_id)
            await self._give_up(incident_id, exc)
            return None
        ctx.queue.forget(incident_id)
        return pause

    async def _waited_too_long(self, incident_id: str, exc: TemporaryError) -> bool:
        """An incident that nobody could look at for long is a human's: they hear of it, and may ask again."""
        if isinstance(exc, StoreUnavailable | QueueFull | Superseded):
            return False
        incident = await self._ctx.store.read(lambda con: incidents.get(con, incident_id))
        waited = (self._ctx.now() - incident.updated_at).total_seconds()
        if incident.state is not State.INVESTIGATING or waited < _PATIENCE_SECONDS:
            return False
        await self._give_up(incident_id, exc)
        return True

    async def _give_up(self, incident_id: str, exc: Exception) -> None:
        """A step that cannot be taken. An incident without a change in flight goes to a human at once.

        One with a change in flight is tried again, because only its next step can settle, judge or undo that change;
        when a verification keeps failing so, the change is taken back.
        """
        ctx = self._ctx
        ctx.metrics.reconcile_errors.labels(error=type(exc).__name__).inc()
        try:
            incident = await ctx.store.read(lambda con: incidents.get(con, incident_id))
            if incident.state not in ACTIVE_STATES:
                return
            if incident.state in IN_FLIGHT_STATES and ctx.queue.failures(incident_id) < _IN_FLIGHT_TRIES:
                ctx.queue.add_failed(incident_id, at_least_seconds=1.0)
                return
            await self._hand_over(incident, f"{type(exc).__name__}: {exc}")
            ctx.queue.forget(incident_id)
        except ResponderError as failure:
            log.critical("could not record the failure", incident=incident_id, problem=str(failure))
            ctx.queue.add_failed(incident_id, at_least_seconds=5.0)

    async def _hand_over(self, incident: Incident, problem: str) -> None:
        ctx = self._ctx
        if incident.state is State.VERIFYING and ctx.rule_named(incident.rule).verify.rollback:
            back = moved(incident, Move.ROLL_BACK, summary=f"the change cannot be verified ({problem}): rolling back")
            await commit(ctx, Step(incident=back, event="verification_failed", detail={"error": problem}))
            ctx.queue.add(incident.id)
            return
        ended = moved(incident, Move.ESCALATE, outcome=Outcome.FAILED, summary=problem)
        await commit(ctx, Step(incident=ended, event="failed", detail={"error": problem}))

    async def _intake(self) -> None:
        delay = 0.0
        while True:
            if delay:
                await asyncio.sleep(delay)
            else:
                await self._intake_wakeup.wait()
            self._intake_wakeup.clear()
            try:
                more = await take_in(self._ctx)
            except TemporaryError as exc:
                delay = max(1.0, min(exc.delay_seconds, 5.0))
                log.warning("intake put off", problem=str(exc), again_in_seconds=delay)
                continue
            delay = 0.0
            if more:
                self._intake_wakeup.set()

    async def _sweep(self) -> None:
        """Enqueue every active incident: at the start for recovery, then now and again as a net under the queue."""
        while True:
            self._intake_wakeup.set()
            try:
                await settle_orphans(self._ctx)
                await close_quiet(self._ctx)
                for incident_id in await self._ctx.store.read(incidents.with_work):
                    if not self._ctx.queue.knows(incident_id):
                        self._ctx.queue.add(incident_id)
                await self._measure()
            except ResponderError as exc:
                log.warning("sweep put off", problem=str(exc))
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _measure(self) -> None:
        ctx = self._ctx
        by_state = await ctx.store.read(incidents.count_by_state)
        for state in State:
            ctx.metrics.incidents.labels(state=state.value).set(by_state.get(state, 0))
        self.pending_alerts = (await ctx.store.read(alerts.counts)).pending
        ctx.metrics.alerts_pending.set(self.pending_alerts)
        ctx.metrics.queue_depth.set(len(ctx.queue))
