"""How the responder itself is, put together from its parts at the moment somebody asks.

What the process knows by itself is told whatever happens. What has to be read from disk is waited for a little while:
where it does not come, the answer says why in place of a number. How it is shown is left to the console and `clopus
status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder import __version__
from responder.analyzer.llm.wallet import caps_of
from responder.analyzers import Analyzers
from responder.domain.errors import StoreUnavailable
from responder.domain.incident import State
from responder.domain.rule import Budget, RuleSet
from responder.domain.views import BackendStatus, BudgetStatus, Status, StoreStatus, WatchPage
from responder.pipeline import Pipeline
from responder.settings import Settings
from responder.store import alerts, executions, incidents, spending
from responder.store.alerts import AlertCounts
from responder.store.spending import Spent
from responder.store.store import Connection, Store
from responder.workqueue import WorkQueue

READ_SECONDS = 2.0
"""Somebody who asks how the responder is does not want to wait for what ails it."""

LEADER = "this process (no election)"

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """The parts that are asked. `streams` is the API's own to fill in."""

    store: Store
    queue: WorkQueue
    pipeline: Pipeline
    analyzers: Analyzers
    watches: Callable[[], WatchPage]
    not_ready: Callable[[], tuple[str, ...]]
    settings: Settings
    started_at: datetime
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    patience_seconds: float = READ_SECONDS

    async def read(self) -> Status:
        """Raises nothing of the store's: what it does not tell is in `unknown`."""
        unknown: dict[str, str] = {}
        counted, size = await asyncio.gather(self._counted(unknown), self._size(unknown))
        return Status(
            version=__version__,
            started_at=self.started_at,
            leader=LEADER,
            not_ready=self.not_ready(),
            states={} if counted is None else {state.value: counted.states.get(state, 0) for state in State},
            pending_alerts=None if counted is None else counted.alerts.pending,
            quarantined_alerts=None if counted is None else counted.alerts.quarantined,
            queued=len(self.queue),
            working=self.queue.processing,
            workers=self.settings.pipeline.workers,
            timed=self.queue.timed,
            streams=0,
            store=self._store(size),
            mode=self.pipeline.mode(),
            mode_limit=self.settings.mode.ceiling,
            backends=tuple(self._backends()),
            budgets=() if counted is None else tuple(self._budgets(counted)),
            watches=self.watches(),
            unknown=unknown,
        )

    async def _counted(self, unknown: dict[str, str]) -> _Counted | None:
        at = self.now()
        try:
            async with asyncio.timeout(self.patience_seconds):
                return await self.store.read(lambda con: _count(con, at))
        except StoreUnavailable as exc:
            problem = str(exc)
        except TimeoutError:
            problem = f"the database has not answered for {self.patience_seconds:g} s"
        unknown.update(dict.fromkeys(("states", "pending_alerts", "quarantined_alerts", "budgets"), problem))
        return None

    async def _size(self, unknown: dict[str, str]) -> int | None:
        try:
            async with asyncio.timeout(self.patience_seconds):
                return await asyncio.to_thread(self.store.size)
        except OSError as exc:  # TimeoutError is one
            unknown["store.bytes"] = exc.strerror or f"the disk has not answered for {self.patience_seconds:g} s"
        return None

    def _store(self, size: int | None) -> StoreStatus:
        store = self.store
        return StoreStatus(
            path=str(store.path or ""),
            bytes=size,
            commits=store.commits,
            waiting=store.waiting,
            problem=store.problem,
            quarantined=str(store.quarantined or ""),
        )

    def _backends(self) -> Iterator[BackendStatus]:
        for model in self.analyzers.models:
            breaker = model.breaker
            yield BackendStatus(
                name=model.backend.name,
                model=model.backend.model,
                breaker=breaker.state(self.monotonic()).value,
                problem=breaker.last.value if breaker.last is not None else "",
            )

    def _budgets(self, counted: _Counted) -> Iterator[BudgetStatus]:
        yield BudgetStatus(
            name="writes_cluster_hour",
            used=counted.writes,
            limit=_writes_an_hour(self.pipeline.rule_set),
            unit="writes",
        )
        if not self.analyzers.models:
            return
        spent, caps = counted.spent, caps_of(self.settings.analysis)
        yield BudgetStatus(name="money_hour", used=spent.hour_usd, limit=caps.hour_usd, unit="USD")
        yield BudgetStatus(name="money_day", used=spent.day_usd, limit=caps.day_usd, unit="USD")
        yield BudgetStatus(name="tokens_day", used=spent.day_tokens, limit=caps.day_tokens, unit="tokens")


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """Read from one state of the database."""

    alerts: AlertCounts
    states: Mapping[State, int]
    writes: int
    """Within the last hour."""
    spent: Spent


def _count(con: Connection, at: datetime) -> _Counted:
    return _Counted(
        alerts=alerts.counts(con),
        states=incidents.count_by_state(con),
        writes=executions.count_since(con, at - _HOUR),
        spent=spending.spent(con, at),
    )


def _writes_an_hour(rule_set: RuleSet) -> int:
    """Of the whole cluster: every rule may ask for less than what holds where nothing is said, or for more."""
    rates = [rule.budget.per_cluster for rule in rule_set.rules] or [Budget().per_cluster]
    return min(max(1, int(rate.count * _HOUR.total_seconds() / rate.seconds)) for rate in rates)
