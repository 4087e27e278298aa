"""The composition root: builds every real object from the settings, and ends them in the opposite order.

Nothing else constructs a store, a cluster client or a pipeline, so a test embeds the whole responder on port 0 with
`Responder.start(settings, cluster=...)`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

from responder import __version__, adapters
from responder.analyzer.llm.run import Clock
from responder.analyzer.llm.wallet import caps_of
from responder.analyzer.protocol import Analyzer
from responder.analyzers import Analyzers, Sources, set_up
from responder.api.listener import Listener, ListenerLimits
from responder.api.routes import build_app
from responder.api.services import Services
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.protocol import Cluster
from responder.datasource.prometheus import Prometheus
from responder.detector.checks import OutsideChecks
from responder.detector.episodes import Episodes
from responder.detector.recorder import Recorder, RecordLimits
from responder.detector.scope import Scope
from responder.detector.watcher import Watcher, WatcherOptions
from responder.domain import ids
from responder.domain.errors import StoreUnavailable
from responder.domain.incident import Incident, Outcome, State
from responder.domain.rule import Mode
from responder.domain.views import WatchPage
from responder.pipeline import Brakes, Context, Options, Pipeline
from responder.pipeline.context import Sightings
from responder.query.copies import Copies
from responder.query.runner import Queries, QueryLimits
from responder.rules.reload import LiveRules
from responder.settings import Settings
from responder.status import Vitals
from responder.store import audit, incidents, investigations, modes, rule_sets
from responder.store.store import Connection, Store
from responder.telemetry import Metrics, get_logger
from responder.workqueue import WorkQueue

log = get_logger("app")

_MEASURE_SECONDS = 15.0


def utc_now() -> datetime:
    return datetime.now(UTC)


def mint(prefix: str) -> str:
    return ids.mint(prefix, utc_now())


class Responder:
    """One running responder. Made by `start`; `stop` it."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        cluster: Cluster,
        rules: LiveRules,
        metrics: Metrics,
        brakes: Brakes,
        analyzers: Analyzers,
        prometheus: Prometheus | None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._cluster = cluster
        self._rules = rules
        self._metrics = metrics
        self._stop_watching = asyncio.Event()
        self._stopping = False
        self._recorded_rules = ""
        self._queue = WorkQueue()
        self._prometheus = prometheus
        self._analyzers = analyzers
        self._watcher = self._build_watcher() if settings.watch.enabled else None
        self.pipeline = Pipeline(self._context(brakes, analyzers.by_name))
        self._queries = self._build_queries() if settings.query.enabled else None
        self._listener = Listener(
            build_app(self._services()),
            limits=ListenerLimits(
                header_timeout_seconds=settings.server.header_timeout_seconds,
                max_connections=settings.server.max_connections,
                shutdown_seconds=min(5.0, settings.server.shutdown_seconds / 2),
            ),
        )
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls, settings: Settings, *, cluster: Cluster | None = None, analyzers: Mapping[str, Analyzer] | None = None
    ) -> Self:
        """Open the store, load the rules, recover what a crash left open, and listen.

        `analyzers` are installed beside the built-in ones, by the name that rules use.

        Raises:
            ConfigError: settings, rules, credentials or database are not usable; the text says what to change.
            StoreUnavailable: the database is in use, or the disk refuses.
            OSError: the address cannot be bound.
        """
        rules = LiveRules(settings.rules.paths)
        async with AsyncExitStack() as undo:
            store = await asyncio.to_thread(_store, settings)
            undo.push_async_callback(asyncio.to_thread, store.close)
            brakes = await _brakes(store, settings)
            if cluster is None:
                cluster = KubernetesCluster(await adapters.api_server(settings))
                undo.push_async_callback(cluster.close)
            prometheus = adapters.prometheus(settings)
            if prometheus is not None:
                undo.push_async_callback(prometheus.close)
            metrics = Metrics()
            sources = Sources(cluster=cluster, datasource=prometheus, store=store)
            own = await set_up(settings, sources, clock=Clock(now=utc_now), mint=mint, metrics=metrics)
            undo.push_async_callback(own.close)
            own.by_name.update(analyzers or {})
            responder = cls(
                settings,
                store=store,
                cluster=cluster,
                rules=rules,
                metrics=metrics,
                brakes=brakes,
                analyzers=own,
                prometheus=prometheus,
            )
            await responder._open()
            undo.pop_all()
        return responder

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Not ready first, and 503 to senders; steps in flight end or are left to recovery; the store closes last."""
        self._stopping = True
        self._stop_watching.set()
        if self._queries is not None:
            self._queries.close()
        try:
            await self.pipeline.stop(within_seconds=self._settings.server.shutdown_seconds / 2)
            await self._listener.close()
            await self._end_tasks()
            await self._analyzers.close()
            await self._cluster.close()
            if self._prometheus is not None:
                await self._prometheus.close()
        finally:
            await asyncio.to_thread(self._store.close)
        log.info("stopped")

    async def _open(self) -> None:
        await self._record_rules()
        self._tell_absent_analyzers()
        await self._store.write(lambda con: investigations.cut_short(con, utc_now()))
        self._metrics.rules_loaded.set(len(self._rules.rule_set.rules))
        await self._listener.open(self._settings.server.host, self._settings.server.port)
        await self.pipeline.start()
        await self._analyzers.measure(self._metrics, caps_of(self._settings.analysis))
        self._tasks.append(asyncio.create_task(self._measure(), name="measure"))
        reload = self._rules.watch(self._rules_reloaded, self._stop_watching)
        self._tasks.append(asyncio.create_task(reload, name="rules"))
        if self._watcher is not None:
            self._tasks.append(asyncio.create_task(self._watcher.run(), name="watcher"))
        log.info("listening", host=self._settings.server.host, port=self.port, rules=len(self._rules.rule_set.rules))

    async def _measure(self) -> None:
        """What slides with time and no event tells of."""
        while True:
            await asyncio.sleep(_MEASURE_SECONDS)
            try:
                await self._analyzers.measure(self._metrics, caps_of(self._settings.analysis))
            except StoreUnavailable as exc:
                log.warning("what models spent is not known", problem=str(exc))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            if task.get_name() in ("watcher", "measure"):
                task.cancel()
        for failure in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(failure, Exception):
                log.error("a task had failed", problem=str(failure))

    def _build_watcher(self) -> Watcher:
        settings, watch = self._settings, self._settings.watch
        scope = Scope.from_settings(watch, settings.cluster.namespaces)
        return Watcher(
            cluster=self._cluster,
            store=self._store,
            episodes=Episodes(soak_seconds=watch.soak_seconds, age_factor=watch.age_factor),
            recorder=self._build_recorder() if settings.changes.enabled else None,
            checks=OutsideChecks(
                cluster=self._cluster, datasource=self._prometheus, enabled=frozenset(settings.watch.checks)
            ),
            options=WatcherOptions(
                scope=scope,
                record=settings.changes.enabled,
                checks=frozenset(watch.checks),
                resync_seconds=watch.resync_seconds,
                exclude_init_containers=watch.exclude_init_containers,
            ),
            metrics=self._metrics,
            alerts_accepted=lambda: self.pipeline.alerts_accepted(),
            now=utc_now,
            monotonic=time.monotonic,
        )

    def _build_recorder(self) -> Recorder:
        limits = self._settings.changes
        return Recorder(
            self._store,
            now=utc_now,
            limits=RecordLimits(
                keep_days=limits.keep_days,
                max_versions=limits.max_versions,
                max_object_bytes=limits.max_object_bytes,
                max_total_bytes=limits.max_total_bytes,
            ),
            selects=lambda kind, namespace: self._watcher is None or self._watcher.may_select(kind, namespace),
            metrics=self._metrics,
        )

    def _build_queries(self) -> Queries:
        wanted = self._settings.query
        copies = Copies(self._store.path, self._store.snapshot, now=utc_now, keep_seconds=wanted.copy_seconds)
        limits = QueryLimits(
            seconds=wanted.seconds,
            rows=wanted.rows,
            bytes=wanted.bytes,
            memory_mib=wanted.memory_mib,
            waiting=wanted.waiting,
        )
        return Queries(copies, limits, self._metrics)

    def _watches(self) -> WatchPage:
        if self._watcher is None:
            return WatchPage(enabled=False)
        return WatchPage(enabled=True, watches=self._watcher.views())

    def _context(self, brakes: Brakes, analyzers: Mapping[str, Analyzer]) -> Context:
        settings = self._settings
        return Context(
            store=self._store,
            cluster=self._cluster,
            queue=self._queue,
            rules=self._rules,
            brakes=brakes,
            analyzers=analyzers,
            notifiers=(),
            metrics=self._metrics,
            options=Options(
                namespaces=settings.cluster.namespaces,
                own_namespace=settings.cluster.own_namespace,
                protected_namespaces=Options().protected_namespaces | set(settings.cluster.protected_namespaces),
                grace_seconds=settings.intake.grace_seconds,
                workers=settings.pipeline.workers,
                max_plans_per_incident=settings.pipeline.max_plans_per_incident,
                concurrent_consultations=settings.analysis.concurrent,
                keep_snapshot_days=settings.analysis.keep_snapshot_days,
                late_write_seconds=settings.cluster.late_write_seconds,
                shared_cause_workloads=settings.intake.shared_cause_workloads,
                storm_workloads=settings.intake.storm_workloads,
                storm_seconds=settings.intake.storm_seconds,
            ),
            now=utc_now,
            monotonic=time.monotonic,
            mint=mint,
            sightings=Sightings()
            if self._watcher is None
            else Sightings(causes=self._watcher.causes_of, owner=self._watcher.owner_of),
        )

    def _services(self) -> Services:
        server = self._settings.server
        return Services(
            store=self._store,
            pipeline=self.pipeline,
            metrics=self._metrics,
            credentials=adapters.credentials(self._settings),
            now=utc_now,
            not_ready=self._not_ready,
            dead=self._dead,
            watches=self._watches,
            status=self._vitals().read,
            queries=self._queries,
            allowed_hosts=adapters.service_names(self._settings),
            on_too_large=self._too_large,
            webhook_max_bytes=server.max_body_bytes,
            webhook_max_pending_bytes=self._settings.intake.max_pending_bytes,
            body_timeout_seconds=server.body_timeout_seconds,
            version=__version__,
        )

    def _vitals(self) -> Vitals:
        return Vitals(
            store=self._store,
            queue=self._queue,
            pipeline=self.pipeline,
            analyzers=self._analyzers,
            watches=self._watches,
            not_ready=self._not_ready,
            settings=self._settings,
            started_at=utc_now(),
            now=utc_now,
            monotonic=time.monotonic,
        )

    def _not_ready(self) -> tuple[str, ...]:
        reasons = []
        if self._stopping:
            reasons.append("stopping")
        if self._store.problem:
            reasons.append(f"store: {self._store.problem}")
        if self.pipeline.pending_alerts >= self._settings.intake.max_pending_alerts:
            reasons.append(f"{self.pipeline.pending_alerts} alerts wait to be folded into incidents")
        if dead := self._dead():
            reasons.append(f"the {dead} task has ended")
        return tuple(reasons)

    def _dead(self) -> str:
        """The task that has ended though it must not, and only a restart brings back."""
        ended = [task.get_name() for task in self._tasks if task.done() and not self._stopping]
        return self.pipeline.failed or (ended[0] if ended else "")

    def _rules_reloaded(self, rules: LiveRules) -> None:
        self._metrics.rules_reload_failed.set(int(rules.error is not None))
        if rules.error is not None:
            log.error("rule files are not in force: the last good set stays", problem=str(rules.error))
            return
        if rules.rule_set.digest == self._recorded_rules:
            return
        self._metrics.rules_loaded.set(len(rules.rule_set.rules))
        log.info("rules in force", rules=len(rules.rule_set.rules), digest=rules.rule_set.digest)
        self._tell_absent_analyzers()
        self.pipeline.background(self._record_rules())

    def _tell_absent_analyzers(self) -> None:
        """A rule that names what the settings do not set up is a valid rule; somebody should know, though."""
        rules = self._rules.rule_set.rules
        named = dict.fromkeys(name for rule in rules for name in rule.analyzers)
        for name in (name for name in named if name not in self._analyzers.by_name):
            by = [rule.name for rule in rules if name in rule.analyzers]
            log.warning(
                "rules name an analyzer that is not set up: the next one answers, or the detectors",
                analyzer=name,
                rules=len(by),
                first=by[0],
            )

    async def _record_rules(self) -> None:
        at, rule_set = utc_now(), self._rules.rule_set
        self._recorded_rules = rule_set.digest
        files = tuple(dict.fromkeys(rule.file for rule in rule_set.rules))

        def job(con: Connection) -> None:
            rule_sets.insert(con, digest=rule_set.digest, at=at, files=files)
            audit.append(con, at=at, actor="clopus", event="rules_loaded", detail={"digest": rule_set.digest})

        await self._store.write(job)

    def _too_large(self, size: int) -> None:
        summary = (
            f"a webhook body of {size} bytes was refused: it is over server.max_body_bytes "
            f"({self._settings.server.max_body_bytes}) and will never arrive; set max_alerts in Alertmanager"
        )
        at = utc_now()
        self.pipeline.background(
            self._store.write(lambda con: _raise_own(con, "clopus/webhook-too-large", summary, at))
        )


def _store(settings: Settings) -> Store:
    return Store.open(
        settings.store.path,
        clock=utc_now,
        memory_limit=settings.store.memory_limit,
        max_waiting_bytes=settings.intake.max_pending_bytes,
        grace_seconds=settings.intake.grace_seconds,
    )


async def _brakes(store: Store, settings: Settings) -> Brakes:
    """The brakes as last set, lowered by the settings; pulled altogether after damage to the record."""
    stored = await store.read(modes.get)
    damage = _damage(store)
    if damage:
        stored = replace(stored, ceiling=Mode.REPORT, reason=damage, set_by="clopus")
        at = utc_now()

        def job(con: Connection) -> None:
            modes.put(con, stored)
            _raise_own(con, "clopus/store", damage, at)

        await store.write(job)
        log.error("starting in report mode", problem=damage)
    return Brakes(stored, limit=settings.mode.ceiling)


def _damage(store: Store) -> str:
    if store.quarantined is not None:
        return f"the database was damaged and is kept at {store.quarantined}; a new one was started, in report mode"
    if store.lost_tail:
        return "the database ends before the last committed record: restored from an old copy? report mode until reset"
    return ""


def _raise_own(con: Connection, key: str, summary: str, at: datetime) -> None:
    """An incident about Clopus itself; one that is open already is brought up to date."""
    known = incidents.find_open(con, key)
    if known is not None:
        incidents.update(con, replace(known, summary=summary, updated_at=at))
        return
    incident = Incident(
        id=mint("inc"),
        key=key,
        root=None,
        state=State.ESCALATED,
        outcome=Outcome.FAILED,
        summary=summary,
        severity="critical",
        labels={"alertname": "Clopus"},
        opened_at=at,
        updated_at=at,
    )
    incidents.insert(con, incident)
    audit.append(
        con, at=at, actor="clopus", event="incident_opened", incident_id=incident.id, subject=key, detail=summary
    )
