"""One investigation by a model on the embedded cluster, taken apart: provider, tools, record, and the rest.

The analyzer, its tools and its store are the shipped ones; a stub answers in place of the provider. A moment belongs to
one of the four: what goes on at once counts as record before tools before provider.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks.clusters import Access
from responder.analyzer.collect import collect
from responder.analyzer.heuristics import HeuristicAnalyzer
from responder.analyzer.llm.breaker import Breaker
from responder.analyzer.llm.budget import Charge
from responder.analyzer.llm.claude import ClaudeBackend
from responder.analyzer.llm.loop import ModelAnalyzer, limits_of
from responder.analyzer.llm.openai_compatible import OpenAiCompatibleBackend
from responder.analyzer.llm.turn import Backend, Observation, OnBlock, Reply, Request
from responder.analyzer.llm.wallet import Wallet
from responder.analyzer.protocol import Assignment
from responder.analyzer.tools.look import ToolOptions
from responder.analyzer.tools.scope import Scope
from responder.analyzer.tools.toolbox import Toolbox
from responder.analyzers import prices
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.incident import Incident
from responder.domain.investigation import Conclusion, Evidence, Investigation, Step
from responder.domain.manifest import Manifest
from responder.domain.refs import ObjectRef
from responder.redact.placeholders import Placeholders
from responder.settings import Analysis, Claude, Settings
from responder.store import investigations
from responder.store.spending import Caps, Reservation
from responder.store.store import Store

SECONDS = 60.0
_CAPS = Caps(hour_usd=1e6, day_usd=1e6, namespace_day_usd=1e6, day_tokens=10**12)
_SETTINGS = Settings(claude=Claude(model="stand-in"))


class Stopwatch:
    """Where wall time goes: each moment belongs to the first of PARTS that is going on."""

    PARTS = ("record", "tools", "provider")

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._since = time.perf_counter()

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        self.turn()
        self._open[part] += 1
        try:
            yield
        finally:
            self.turn()
            self._open[part] -= 1

    def turn(self) -> None:
        """What was going on until now gets the time."""
        now = time.perf_counter()
        going_on = next((part for part in self.PARTS if self._open[part]), "rest")
        self.seconds[going_on] += now - self._since
        self._since = now


@dataclass(frozen=True, kw_only=True)
class Ran:
    investigation: Investigation
    seconds: Counter[str]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    @property
    def around(self) -> float:
        """Everything but the provider."""
        return self.total - self.seconds["provider"]


class Bench:
    """One store and one cluster for many runs."""

    def __init__(self, store: Store, cluster: KubernetesCluster) -> None:
        self._store = store
        self._cluster = cluster
        self._numbers = count(1)

    async def run(self, backend: Backend, root: ObjectRef) -> Ran:
        assignment, detected = await self._assigned(root, backend.name)
        watch = Stopwatch()
        analyzer = ModelAnalyzer(
            backend=_TimedBackend(backend, watch),
            tools=lambda assigned: _TimedTools(self._toolbox(assigned), watch),
            limits=limits_of(Analysis(), output_tokens=Claude().max_output_tokens),
            prices=prices(_SETTINGS, "claude"),
            wallet=_TimedWallet(self._store, self._mint, watch),
            breaker=Breaker(),
        )

        async def record(steps: tuple[Step, ...], evidence: tuple[Evidence, ...]) -> None:
            with watch.of("record"):
                await self._store.write(lambda con: investigations.add(con, assignment.id, steps, evidence))

        done = await analyzer.investigate(replace(assignment, record=record, detected=detected))
        watch.turn()
        await self._store.write(lambda con: investigations.finish(con, done))
        return Ran(investigation=done, seconds=watch.seconds)

    async def _assigned(self, root: ObjectRef, analyzer: str) -> tuple[Assignment, Investigation]:
        """One run to be, begun in the store, and what the detectors say of the same snapshot."""
        at = datetime.now(UTC)
        incident = Incident(
            id=self._mint("inc"),
            key=root.key,
            root=root,
            namespace=root.namespace,
            labels={"alertname": "KubePodCrashLooping", "namespace": root.namespace, "severity": "warning"},
            opened_at=at,
            updated_at=at,
        )
        snapshot = await collect(self._cluster, root, now=at, namespaces=(root.namespace,))
        assignment = Assignment(
            id=self._mint("inv"),
            number=2,
            incident=incident,
            snapshot=snapshot,
            seconds=SECONDS,
            secrets=Placeholders(),
        )
        detected = await HeuristicAnalyzer(now=lambda: at).investigate(assignment)
        begun = Investigation(
            id=assignment.id,
            incident_id=incident.id,
            number=2,
            analyzer=analyzer,
            started_at=at,
            ended_at=None,
            conclusion=Conclusion.UNFINISHED,
            summary="goes on",
        )
        await self._store.write(lambda con: investigations.begin(con, begun))
        return assignment, detected

    def _toolbox(self, assignment: Assignment) -> Toolbox:
        return Toolbox(
            cluster=self._cluster,
            datasource=None,
            store=self._store,
            scope=Scope.of(assignment),
            secrets=assignment.secrets,
            options=ToolOptions(),
            now=lambda: datetime.now(UTC),
        )

    def _mint(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers)}"


@asynccontextmanager
async def bench(access: Access, directory: Path) -> AsyncIterator[Bench]:
    cluster = KubernetesCluster(Client.from_token(url=access.url, token=access.token))
    with Store.open(directory / "clopus.duckdb") as store:
        try:
            yield Bench(store, cluster)
        finally:
            await cluster.close()


@asynccontextmanager
async def backend(analyzer: str, url: str) -> AsyncIterator[Backend]:
    """The shipped one, pointed at a stub."""
    opened: Backend
    if analyzer == "claude":
        opened = await ClaudeBackend.open(Claude(model="stand-in", base_url=url))
    else:
        opened = await OpenAiCompatibleBackend.open(model="stand-in", base_url=f"{url}/v1")
    try:
        yield opened
    finally:
        await opened.close()


class _TimedBackend:
    def __init__(self, backend: Backend, watch: Stopwatch) -> None:
        self.name, self.model = backend.name, backend.model
        self._backend, self._watch = backend, watch

    async def complete(self, request: Request, *, seconds: float, on_block: OnBlock) -> Reply:
        with self._watch.of("provider"):
            return await self._backend.complete(request, seconds=seconds, on_block=on_block)

    async def close(self) -> None:
        """The one inside is closed by who opened it."""


class _TimedTools:
    def __init__(self, tools: Toolbox, watch: Stopwatch) -> None:
        self.specs = tools.specs
        self._tools, self._watch = tools, watch

    async def call(self, name: str, arguments: Manifest) -> Observation:
        with self._watch.of("tools"):
            return await self._tools.call(name, arguments)


class _TimedWallet(Wallet):
    def __init__(self, store: Store, mint: Callable[[str], str], watch: Stopwatch) -> None:
        super().__init__(store, _CAPS, now=lambda: datetime.now(UTC), mint=mint)
        self._watch = watch

    async def reserve(self, assignment: Assignment, *, analyzer: str, model: str, most: Charge) -> Reservation:
        with self._watch.of("record"):
            return await super().reserve(assignment, analyzer=analyzer, model=model, most=most)

    async def settle(self, reservation: Reservation, charge: Charge) -> None:
        with self._watch.of("record"):
            await super().settle(reservation, charge)
