"""Kubernetes as a source of alerts: watches in, alerts and the change record out.

One reflector per kind, and per namespace where the scope is a list of names. Each state of an object is judged as it
comes (`conditions`), judgements become alerts over time (`episodes`), and alerts are committed to the store like those
of a webhook; from there on nobody can tell them apart. What others changed goes to the recorder.

Nothing is queued: the caches hold the last state of everything, so what was missed, merged or repeated makes no
difference. What may not be watched is said so, by an alert of its own, and nothing is concluded from its silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from responder.cluster.protocol import Cluster
from responder.cluster.trim import trim
from responder.cluster.watch import Delta, DeltaType, Reflector
from responder.conditions.events import EVENT_SECONDS, TRIGGERS, occurred_at
from responder.detector.blindness import Blindness
from responder.detector.checks import PERIOD_SECONDS, OutsideChecks
from responder.detector.coverage import Coverage
from responder.detector.episodes import REMEMBERED_SECONDS, Episodes
from responder.detector.judge import Judge
from responder.detector.kinds import is_namespaced, watched_kinds
from responder.detector.recorder import Recorder
from responder.detector.scope import Scope
from responder.detector.view import ClusterView
from responder.domain.action import Permission
from responder.domain.alert import Alert, Delivery
from responder.domain.errors import ResponderError, TemporaryError
from responder.domain.manifest import Manifest, ref_of, text
from responder.domain.refs import ObjectRef
from responder.domain.views import WatchView
from responder.store import alerts
from responder.store.store import Store
from responder.telemetry import Metrics, get_logger

log = get_logger("watcher")

TICK_SECONDS = 0.5
"""Longest time between a condition that has become old enough and its alert."""

REVIEW_SECONDS = 20.0
"""How often what is wrong is judged again: some judgements change by the passing of time alone."""

FIRST_LIST_SECONDS = 30.0
"""How long the first judgement waits for watches that do not come about."""

TURN_SECONDS = 0.01
"""So long objects are judged before others get the event loop; a Service of thousands of pods takes longer alone."""

RESTART_SECONDS = 5.0
"""Pause after what nobody foresaw."""

PRUNE_SECONDS = 3600.0
LAST_WORDS_SECONDS = 2.0

REPEAT_SECONDS = 300.0
"""How often what fires is told again. The store knows it as a duplicate, unless its incident was closed meanwhile."""

_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class WatcherOptions:
    scope: Scope
    record: bool
    checks: frozenset[str] = frozenset()
    resync_seconds: float = 900.0
    exclude_init_containers: bool = False


class Watcher:
    """Made and ended by the composition root. `run` until it is cancelled."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        episodes: Episodes,
        recorder: Recorder | None,
        checks: OutsideChecks,
        options: WatcherOptions,
        metrics: Metrics,
        alerts_accepted: Callable[[], None],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._episodes = episodes
        self._recorder = recorder
        self._checks = checks
        self._options = options
        self._metrics = metrics
        self._alerts_accepted = alerts_accepted
        self._now = now
        self._monotonic = monotonic
        self._view = ClusterView(exclude_init_containers=options.exclude_init_containers)
        self._judge = Judge(self._view, scope=options.scope, checks=options.checks, suffering=episodes.suffering)
        self._blindness = Blindness()
        self._coverage = Coverage(needs_namespace_labels=options.scope.needs_namespace_labels)
        self._judging = False
        """The first lists are in: before, owners are not known, and half a picture looks like trouble."""
        self._settled = False
        self._open: set[ObjectRef] = set()
        """Objects whose judgement may change by the passing of time alone."""
        self._unsent: list[Alert] = []
        self._selected: dict[str, bool] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._restore()
        wanted = await self._wanted()
        for kind, namespace in wanted:
            reflector = Reflector(
                self._cluster,
                kind,
                namespace,
                trim=_trimmed,
                sink=self,
                monotonic=self._monotonic,
                resync_seconds=self._options.resync_seconds,
            )
            self._coverage.add(kind, namespace, reflector)
            self._view.add(kind, namespace, reflector.cache)
        log.info("watching", watches=len(wanted))
        try:
            await self._run_all()
        finally:
            if self._recorder is not None:
                await _last_words(self._recorder)

    async def _run_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kind, namespace, reflector in self._coverage.reflectors():
                group.create_task(reflector.run(), name=f"watch-{kind}-{namespace or 'all'}")
            group.create_task(self._unending(self._tick_for_ever), name="watch-ticks")
            group.create_task(self._unending(self._review_for_ever), name="watch-reviews")
            group.create_task(self._unending(self._check_for_ever), name="watch-checks")
            if self._recorder is not None:
                group.create_task(self._unending(self._recorder.run), name="recorder")
                group.create_task(
                    self._unending(partial(self._prune_for_ever, self._recorder)), name="recorder-pruning"
                )

    async def _unending(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin `work` again where it failed: a watch that has ended looks like a cluster without trouble."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("a part of the watch failed and begins again")
                self._metrics.watch_errors.inc()
            await asyncio.sleep(RESTART_SECONDS)

    def views(self) -> tuple[WatchView, ...]:
        """The watches as the API shows them."""
        return self._coverage.views(self._monotonic())

    def causes_of(self, root: ObjectRef) -> tuple[str, ...]:
        """Keys of what the root suffers from together with others, as far as its present conditions tell."""
        return self._episodes.causes(root)

    def owner_of(self, target: ObjectRef) -> ObjectRef | None:
        """The root of an object in the caches; None where it is not known there, or owners are not yet."""
        return self._view.owner_of(target) if self._judging else None

    # --- what the reflectors tell ---

    async def changed(self, delta: Delta) -> None:
        """Take in one new state. Raises nothing that would end the watch."""
        now = self._now()
        former = self._view.service_of(delta.namespace, delta.name) if delta.kind == "EndpointSlice" else ""
        if delta.type is DeltaType.DELETE:
            self._deleted(delta)
        elif delta.trimmed is not None:
            matters_to_others = self._view.note(delta.kind, delta.trimmed, now=now)
            self._measure_lag(delta, now)
            if self._judging:
                self._look_at(delta.kind, delta.trimmed, now)
                if matters_to_others or delta.kind == "Namespace":
                    self._look_at_dependants(delta.kind, delta.namespace, delta.name, now)
        if former and former != self._view.service_of(delta.namespace, delta.name):
            self._look_at_named("Service", delta.namespace, former)
        if self._recorder is not None:
            await self._recorder.changed(delta)

    async def synced(self, kind: str, namespace: str) -> None:
        if self._recorder is not None:
            await self._recorder.synced(kind, namespace)

    def _deleted(self, delta: Delta) -> None:
        ref = ObjectRef(kind=delta.kind, namespace=delta.namespace, name=delta.name, uid=delta.uid)
        self._view.forget(delta.kind, delta.namespace, delta.name, delta.uid)
        # An Event is deleted by its age, an hour after it: what it told of may well go on.
        self._episodes.gone(ref, self._monotonic())
        self._open.discard(ref)
        if delta.kind == "Namespace":
            self._selected.pop(delta.name, None)  # another one of this name is judged by its own labels

    def _look_at_dependants(self, kind: str, namespace: str, name: str, now: datetime) -> None:
        """What is judged by more than itself is judged again when the rest changes."""
        match kind:
            case "EndpointSlice":
                if service := self._view.service_of(namespace, name):
                    self._look_at_named("Service", namespace, service)
            case "Node":
                for pod in self._view.of_kind("Pod"):
                    if text(pod, "spec", "nodeName") == name:
                        self._look_at("Pod", pod, now)
            case "Namespace":
                self._look_at_namespace(name, now)
            case _:
                return

    def _look_at_named(self, kind: str, namespace: str, name: str) -> None:
        body = self._view.find(kind, namespace, name)
        if body is not None and self._judging:
            self._look_at(kind, body, self._now())

    def _look_at_namespace(self, name: str, now: datetime) -> None:
        """A namespace's labels may have moved it into the scope, or out of it."""
        selected = self.selects("Pod", name)
        if self._selected.get(name) is selected:
            return
        self._selected[name] = selected
        for kind, namespace, _ in self._coverage.reflectors():
            if is_namespaced(kind) and namespace in ("", name):
                for body in self._view.of_kind(kind, name):
                    self._look_at(kind, body, now)

    def _look_at(self, kind: str, body: Manifest, now: datetime) -> None:
        source = ref_of(body, kind=kind)
        complete = self._coverage.complete(source)
        try:
            judgement = self._judge(source, body, now=now, complete=complete)
        except Exception:  # one object of an unheard-of shape must not blind the watch to all others
            log.exception("an object could not be judged", object=source.key)
            self._metrics.watch_errors.inc()
            return
        self._episodes.observe(source, judgement.root, judgement.conditions, now=now, at=self._monotonic())
        if judgement.open or not complete:  # nothing tells when the other watches are complete again
            self._open.add(source)
        else:
            self._open.discard(source)

    def selects(self, kind: str, namespace: str) -> bool:
        """Whether objects of this namespace are in scope, by what is known of its labels now."""
        return self._judge.selects(kind, namespace)

    def may_select(self, kind: str, namespace: str) -> bool:
        """As `selects`, but yes while the labels that would decide it are not known."""
        return self._judge.may_select(kind, namespace)

    # --- time ---

    async def _tick_for_ever(self) -> None:
        started = last_repeat = self._monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            at = self._monotonic()
            if not self._judging and (self._coverage.all_listed() or at - started > FIRST_LIST_SECONDS):
                await self._begin_judging()
            if self._judging and not self._settled and self._coverage.all_listed():
                self._settled = True
                self._episodes.settled(at)
            if at - last_repeat >= REPEAT_SECONDS and not self._unsent:  # while the store is down they would pile up
                last_repeat = at
                self._unsent += (*self._episodes.firing(), *self._blindness.firing())
            try:
                await self._tell(at)
            except TemporaryError as exc:
                log.warning("alerts of the watch wait", alerts=len(self._unsent), problem=str(exc))

    async def _review_for_ever(self) -> None:
        """A flood of trouble makes the reviews rarer, not the alerts late."""
        while True:
            began = self._monotonic()
            if self._judging:
                await self._review()
            await asyncio.sleep(max(REVIEW_SECONDS, REVIEW_REST * (self._monotonic() - began)))

    async def _check_for_ever(self) -> None:
        while True:
            now = self._now()
            for about, found in (await self._checks.look(now)).items():
                taken = self._judge.takes(about)
                self._episodes.observe(about, about, found if taken else (), now=now, at=self._monotonic())
            await asyncio.sleep(PERIOD_SECONDS)

    async def _prune_for_ever(self, recorder: Recorder) -> None:
        while True:
            try:
                await recorder.prune()
            except TemporaryError as exc:
                log.warning("old versions are not dropped now", problem=str(exc))
            await asyncio.sleep(PRUNE_SECONDS)

    async def _begin_judging(self) -> None:
        """Judge all that the first lists brought, in pieces: there are thousands, and others want the event loop."""
        self._judging = True
        for _, name in self._view.names("Namespace"):
            self._selected[name] = self.selects("Pod", name)
        for kind in dict.fromkeys(kind for kind, _, _ in self._coverage.reflectors()):
            await self._look_at_each((kind, *place) for place in self._view.names(kind))

    async def _review(self) -> None:
        await self._look_at_each([(source.kind, source.namespace, source.name) for source in self._open])
        for kind in _REVIEWED:
            await self._look_at_each((kind, *place) for place in self._view.names(kind))
        self._coverage.measure(self._metrics, self._monotonic())

    async def _look_at_each(self, places: Iterable[tuple[str, str, str]]) -> None:
        """Kind, namespace and name of each."""
        began = self._monotonic()
        for kind, namespace, name in places:
            self._look_at_named(kind, namespace, name)  # as it is now: it may have changed since the last pause
            if self._monotonic() - began >= TURN_SECONDS:
                await asyncio.sleep(0)
                began = self._monotonic()

    async def _tell(self, at: float) -> None:
        """Commit what is due. What could not be committed is kept for the next tick."""
        now = self._now()
        self._unsent += self._blindness.alerts(self._coverage.gaps(), now=now, at=at)
        await self._send(now)
        while due := self._episodes.due(now, at, self._liveness()):
            self._unsent += due
            await self._send(now)

    async def _send(self, now: datetime) -> None:
        while self._unsent:
            batch = tuple(self._unsent[:_BATCH])
            result = await self._store.ingest(Delivery(alerts=batch, receiver="kubernetes"), now)
            del self._unsent[: len(batch)]
            self._metrics.alerts.labels(result="accepted").inc(result.accepted)
            self._metrics.alerts.labels(result="duplicate").inc(result.duplicates)
            self._metrics.alerts.labels(result="quarantined").inc(result.quarantined)
            self._alerts_accepted()

    async def _restore(self) -> None:
        """What the alerts last were when the process ended: they are so until the watches have shown otherwise."""
        since = self._now() - timedelta(seconds=REMEMBERED_SECONDS)
        while True:
            try:
                known = await self._store.read(lambda con: alerts.last_of_kubernetes(con, since))
                break
            except TemporaryError as exc:
                log.warning("the alerts of before cannot be read now", problem=str(exc))
                await asyncio.sleep(min(exc.delay_seconds, RESTART_SECONDS))
        self._episodes.restore([one for one in known if not self._blindness.adopt(one)], self._monotonic())

    # --- what is watched ---

    async def _wanted(self) -> tuple[tuple[str, str], ...]:
        options = self._options
        kinds = watched_kinds(record=options.record, checks=options.checks)
        if options.scope.listed is None:
            return tuple((kind, "") for kind in kinds)
        namespaced = [(kind, name) for kind in kinds if is_namespaced(kind) for name in options.scope.listed]
        around = [kind for kind in kinds if not is_namespaced(kind)]
        needed = {"Namespace"} if options.scope.needs_namespace_labels else set()  # a gap that has to be told
        return (*namespaced, *[(kind, "") for kind in around if kind in needed or await self._may_watch(kind)])

    async def _may_watch(self, kind: str) -> bool:
        """With a list of namespaces, Roles in these are enough: nodes and the like are watched where it is allowed."""
        permission = Permission(resource=f"{kind.lower()}s", verbs=("list", "watch"))
        while True:
            try:
                allowed = await self._cluster.permitted("", permission)
            except TemporaryError as exc:
                log.warning("rights cannot be asked for now", problem=str(exc))
                await asyncio.sleep(min(exc.delay_seconds, 5.0))
                continue
            except ResponderError as exc:
                log.warning("rights cannot be asked for", problem=str(exc))
                return False
            if not allowed:
                log.info("not watched: no cluster-wide right to", kind=kind)
            return allowed

    def _liveness(self) -> Callable[[ObjectRef], bool]:
        """Whether the silence of an object counts at this moment. Worked out once for all of a kind and namespace:
        thousands of alerts may be in their soak."""
        known: dict[tuple[str, str, bool], bool] = {}

        def is_live(source: ObjectRef) -> bool:
            place = (source.kind, source.namespace, bool(source.uid))
            if place not in known:
                asked = source.uid or self._checks.answers(source.kind)  # what the checks tell of has no uid
                known[place] = bool(asked) and self._coverage.is_live(source)
            return known[place]

        return is_live

    def _measure_lag(self, delta: Delta, now: datetime) -> None:
        if delta.kind != "Event" or delta.initial or delta.relisted or delta.raw is None:
            return
        occurred = occurred_at(delta.raw)
        if occurred is not None and (now - occurred).total_seconds() < EVENT_SECONDS:
            self._metrics.watch_lag_seconds.observe(max(0.0, (now - occurred).total_seconds()))


_REVIEWED = ("Node", "Certificate")
"""Kinds that are judged by the time of day, or by what no event tells of them."""
REVIEW_REST = 4.0
"""A review is followed by so many times its own length of rest, at the least."""


async def _last_words(recorder: Recorder) -> None:
    """Write what waits. What cannot be written now is found by the first lists of the next start."""
    try:
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            await recorder.flush()
    except (TemporaryError, TimeoutError) as exc:
        log.warning("changes are not recorded before the end", problem=str(exc))


def _trimmed(kind: str, raw: Manifest) -> Manifest:
    """As `trim`; of events that trigger nothing only the identity is kept: there are many, and nobody needs them."""
    return trim(kind, raw if kind != "Event" or text(raw, "reason") in TRIGGERS else {"metadata": raw.get("metadata")})
