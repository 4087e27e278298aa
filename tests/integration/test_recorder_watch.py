"""The recorder behind real watches on a running cluster: list and watch spell an object alike, and controllers' own
writes are no changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.resources import resource_of
from responder.cluster.trim import trim
from responder.cluster.watch import Delta, Reflector
from responder.detector.record import RECORDED_KINDS
from responder.detector.recorder import Recorder
from responder.domain.versions import ObjectVersion, VersionEvent
from responder.sandbox.sandbox import Sandbox
from responder.store import versions
from responder.store.store import Store

PATIENCE_SECONDS = 30.0
CONFIG_MAP = "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: shop}\ndata: {LEVEL: %s}\n"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "%s"}]}
"""


class Seen:
    """Hands everything to the recorder, and remembers which lists are complete."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.complete: set[str] = set()

    async def changed(self, delta: Delta) -> None:
        await self.recorder.changed(delta)

    async def synced(self, kind: str, namespace: str) -> None:
        await self.recorder.synced(kind, namespace)
        self.complete.add(kind)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store.open(tmp_path / "clopus.db")
    yield opened
    await asyncio.to_thread(opened.close)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(namespaces=("shop",), speed=10.0) as started:
        yield started


@asynccontextmanager
async def watching(sandbox: Sandbox, store: Store, kinds: tuple[str, ...]) -> AsyncIterator[Recorder]:
    """One life of the process: lists are complete when the body begins, what was seen is written when it has ended."""
    recorder = Recorder(store, now=lambda: datetime.now(UTC))
    seen = Seen(recorder)
    cluster = KubernetesCluster(Client.from_token(url=sandbox.url, token=sandbox.token))
    reflectors = [Reflector(cluster, kind, "", trim=trim, sink=seen, resync_seconds=900) for kind in kinds]
    tasks = [asyncio.create_task(reflector.run()) for reflector in reflectors]
    try:
        await until(lambda: seen.complete >= set(kinds))
        yield recorder
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await cluster.close()
        await recorder.flush()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110 - the lists tell nobody when they are complete
            await asyncio.sleep(0.05)


async def changes(store: Store) -> list[ObjectVersion]:
    found, _ = await store.read(lambda con: versions.page(con, limit=500))
    return list(reversed(found))


async def wait_for_change(store: Store, recorder: Recorder, wanted: Callable[[ObjectVersion], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(map(wanted, await changes(store))):
            await asyncio.sleep(0.05)
            await recorder.flush()


async def rolled_out(sandbox: Sandbox, image: str) -> None:
    cluster = KubernetesCluster(Client.from_token(url=sandbox.url, token=sandbox.token))

    async def pods() -> list[Any]:
        return [pod.body for pod in await cluster.list("Pod", "shop")]

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_serving(await pods(), image):  # noqa: ASYNC110 - the cluster tells nobody
            await asyncio.sleep(0.05)
    await cluster.close()


def is_serving(pods: list[Any], image: str) -> bool:
    ready = [
        any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ())) for p in pods
    ]
    return len(pods) == 2 and all(ready) and all(p["spec"]["containers"][0]["image"] == image for p in pods)


async def test_edits_are_recorded_and_what_controllers_write_is_not(sandbox: Sandbox, store: Store) -> None:
    kinds = ("Deployment", "ConfigMap", "Node", "Namespace", "Service")
    await sandbox.apply_yaml("---".join((DEPLOYMENT % "nginx:1.27", CONFIG_MAP % "info")))
    await rolled_out(sandbox, "nginx:1.27")
    async with watching(sandbox, store, kinds) as recorder:
        assert await changes(store) == []
        await sandbox.apply_yaml(DEPLOYMENT % "nginx:1.28")
        await rolled_out(sandbox, "nginx:1.28")
        await sandbox.apply_yaml(CONFIG_MAP % "debug")
        await wait_for_change(store, recorder, lambda version: version.ref.name == "app")
    found = await changes(store)
    assert [(v.ref.key, v.event, [d.path for d in v.differences], v.while_away) for v in found] == [
        ("Deployment/shop/web", VersionEvent.CHANGED, ["spec.template.spec.containers[web].image"], False),
        ("ConfigMap/shop/app", VersionEvent.CHANGED, ["data.LEVEL"], False),
    ]
    assert all(version.manager and version.changed_at for version in found)
    assert all(version.restorable for version in found)


async def test_a_restart_finds_what_changed_and_nothing_else(sandbox: Sandbox, store: Store) -> None:
    kinds = ("Deployment", "ConfigMap", "Node", "Namespace", "Service")
    await sandbox.apply_yaml("---".join((DEPLOYMENT % "nginx:1.27", CONFIG_MAP % "info")))
    async with watching(sandbox, store, kinds):
        await rolled_out(sandbox, "nginx:1.27")
    async with watching(sandbox, store, kinds):
        pass
    assert await changes(store) == []
    await sandbox.apply_yaml(CONFIG_MAP % "debug")
    async with watching(sandbox, store, kinds):
        pass
    assert [(v.ref.key, v.event, v.while_away) for v in await changes(store)] == [
        ("ConfigMap/shop/app", VersionEvent.CHANGED, True)
    ]


def test_every_recorded_kind_can_be_asked_for() -> None:
    assert all(resource_of(kind).plural for kind in RECORDED_KINDS)
