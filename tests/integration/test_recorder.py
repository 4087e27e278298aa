"""Deltas in, the record of changes out: what is written, what is not, and what a restart finds."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.cluster.watch import Delta, DeltaType
from responder.detector.recorder import MAX_BUFFER_BYTES, Recorder, RecordLimits
from responder.domain.errors import StoreUnavailable
from responder.domain.refs import ObjectRef
from responder.domain.versions import ObjectVersion, VersionEvent
from responder.store import versions
from responder.store.store import Store
from responder.telemetry import Metrics

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WEB = ObjectRef(kind="Deployment", namespace="shop", name="web", uid="u-1")


class Clock:
    def __init__(self) -> None:
        self.at = T0

    def __call__(self) -> datetime:
        return self.at

    def pass_seconds(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store.open(tmp_path / "clopus.db", clock=lambda: T0)
    yield opened
    await asyncio.to_thread(opened.close)


@pytest.fixture
def start(store: Store, clock: Clock) -> Callable[..., Recorder]:
    """A recorder as after the start of the process, over the same store."""

    def started(**limits: Any) -> Recorder:
        return Recorder(store, now=clock, limits=RecordLimits(**limits))

    return started


@pytest.fixture
def changes(store: Store) -> Callable[..., Any]:
    """What the record shows, oldest first."""

    async def read(**query: Any) -> tuple[ObjectVersion, ...]:
        found, _ = await store.read(lambda con: versions.page(con, limit=500, **query))
        return tuple(reversed(found))

    return read


def deployment(image: str = "nginx:1.27", *, uid: str = "u-1", at: str = "2026-02-01T00:00:00Z", **more: Any) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": "7",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl-edit", "operation": "Update", "time": at, "fieldsV1": {}}],
            **more,
        },
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        "status": {"readyReplicas": 2},
    }


def delta(raw: Any, *, initial: bool = False, relisted: bool = False, gone: bool = False) -> Delta:
    metadata = raw["metadata"]
    return Delta(
        kind=raw["kind"],
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        type=DeltaType.DELETE if gone else DeltaType.UPSERT,
        raw=None if gone and relisted else raw,
        trimmed=None,
        initial=initial,
        relisted=relisted,
    )


async def test_the_first_sight_of_an_object_is_no_change(start: Any, changes: Any, store: Store) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    await recorder.synced("Deployment", "")
    await recorder.flush()
    assert await changes() == ()
    good = await store.read(lambda con: versions.last_good(con, WEB))
    assert good is not None
    assert good.event is VersionEvent.SEEN
    assert good.restorable


async def test_an_edit_is_recorded_with_its_author_and_what_it_changed(start: Any, changes: Any, clock: Clock) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    clock.pass_seconds(60)
    await recorder.changed(delta(deployment("nginx:1.28", at="2026-03-01T12:00:58Z")))
    await recorder.flush()
    (found,) = await changes()
    assert (found.event, found.manager, found.while_away) == (VersionEvent.CHANGED, "kubectl-edit", False)
    assert (found.seen_at, found.changed_at) == (T0 + timedelta(seconds=60), T0 + timedelta(seconds=58))
    assert [(d.path, d.before, d.after) for d in found.differences] == [
        ("spec.template.spec.containers[web].image", '"nginx:1.27"', '"nginx:1.28"')
    ]
    assert (found.ref, found.resource_version, found.generation) == (WEB, "7", 3)


async def test_what_decides_nothing_is_not_recorded(start: Any, changes: Any) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    busy = copy.deepcopy(deployment(annotations={"deployment.kubernetes.io/revision": "9"}, at="2026-03-01T00:00:00Z"))
    busy["status"] = {"readyReplicas": 0}
    busy["metadata"]["resourceVersion"] = "8"
    del busy["apiVersion"]
    await recorder.changed(delta(busy))
    await recorder.flush()
    assert await changes() == ()


async def test_a_number_of_replicas_is_a_change(start: Any, changes: Any) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    scaled = deployment()
    scaled["spec"]["replicas"] = 0
    await recorder.changed(delta(scaled))
    await recorder.flush()
    assert [d.path for d in (await changes())[0].differences] == ["spec.replicas"]


async def test_a_restart_writes_nothing_for_what_did_not_change(start: Any, changes: Any, store: Store) -> None:
    for _ in range(3):
        recorder = start()
        await recorder.changed(delta(deployment(), initial=True))
        await recorder.synced("Deployment", "")
        await recorder.flush()
    assert await store.read(lambda con: con.execute("SELECT count(*) FROM object_versions").fetchone()) == (1,)


async def test_what_happened_while_nobody_watched_is_found_and_marked(start: Any, changes: Any, clock: Clock) -> None:
    first = start()
    api = deployment()
    api["metadata"] |= {"name": "api", "uid": "u-2"}
    await first.changed(delta(deployment(), initial=True))
    await first.changed(delta(api, initial=True))
    await first.flush()
    clock.pass_seconds(3600)
    new = deployment(creationTimestamp="2026-03-01T12:30:00Z")
    new["metadata"] |= {"name": "new", "uid": "u-3"}
    second = start()
    await second.changed(delta(deployment("nginx:1.28", at="2026-03-01T12:10:00Z"), initial=True))
    await second.changed(delta(new, initial=True))
    await second.synced("Deployment", "")
    await second.flush()
    found = await changes()
    assert [(v.ref.name, v.event, v.while_away) for v in found] == [
        ("web", VersionEvent.CHANGED, True),
        ("new", VersionEvent.CREATED, True),
        ("api", VersionEvent.DELETED, True),
    ]
    assert found[1].changed_at == T0 + timedelta(minutes=30)
    assert found[2].ref.uid == "u-2"


async def test_nothing_is_missing_before_its_own_list_is_complete(start: Any, changes: Any) -> None:
    first = start()
    await first.changed(delta(deployment(), initial=True))
    await first.flush()
    second = start()
    await second.synced("ConfigMap", "")
    await second.synced("Deployment", "other")
    await second.flush()
    assert await changes() == ()


async def test_what_left_the_scope_is_not_taken_for_deleted(
    start: Any, changes: Any, store: Store, clock: Clock
) -> None:
    first = start()
    await first.changed(delta(deployment(), initial=True))
    await first.flush()
    second = Recorder(store, now=clock, selects=lambda kind, namespace: namespace != "shop")
    await second.changed(delta(deployment("nginx:2"), initial=True))
    await second.synced("Deployment", "")
    await second.flush()
    assert await changes() == ()


async def test_an_object_that_comes_into_sight_later_and_is_old_was_not_created(start: Any, changes: Any) -> None:
    recorder = start()
    await recorder.synced("Deployment", "")
    await recorder.changed(delta(deployment()))
    await recorder.flush()
    assert await changes() == ()


async def test_a_recreated_object_is_deleted_and_created(start: Any, changes: Any) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    await recorder.changed(delta(deployment(uid="u-9")))
    await recorder.flush()
    assert [(v.event, v.ref.uid) for v in await changes()] == [
        (VersionEvent.DELETED, "u-1"),
        (VersionEvent.CREATED, "u-9"),
    ]


async def test_a_deletion_keeps_what_the_object_was(start: Any, changes: Any, store: Store) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    await recorder.changed(delta(deployment(deletionTimestamp="2026-03-01T11:59:00Z"), gone=True))
    await recorder.changed(delta(deployment(), gone=True))
    await recorder.flush()
    (found,) = await changes()
    assert (found.event, found.changed_at) == (VersionEvent.DELETED, T0 - timedelta(minutes=1))

    def body_of_last_good(con: Any) -> Any:
        good = versions.last_good(con, WEB)
        return good and versions.body(con, good.seq)

    body = await store.read(body_of_last_good)
    assert body["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "nginx:1.27"}]


async def test_a_deletion_that_a_list_showed_is_marked(start: Any, changes: Any) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    await recorder.changed(delta(deployment(), gone=True, relisted=True))
    await recorder.flush()
    assert [(v.event, v.while_away) for v in await changes()] == [(VersionEvent.DELETED, True)]


async def test_whoever_removed_a_field_of_another_is_not_known(start: Any, changes: Any, clock: Clock) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    clock.pass_seconds(60)
    removed = deployment()
    del removed["spec"]["replicas"]
    await recorder.changed(delta(removed))
    await recorder.flush()
    (found,) = await changes()
    assert (found.manager, found.changed_at) == ("", None)


async def test_a_node_that_turns_unready_is_the_work_of_whoever_wrote_its_status(start: Any, changes: Any) -> None:
    def node(ready: str, heartbeat: str) -> Any:
        fields = [
            {"manager": "kubectl-label", "time": "2026-01-01T00:00:00Z"},
            {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-03-01T11:59:30Z"},
        ]
        condition = {"type": "Ready", "status": ready, "reason": "R", "lastHeartbeatTime": heartbeat}
        return {
            "kind": "Node",
            "metadata": {"name": "n1", "uid": "u-n", "labels": {"zone": "a"}, "managedFields": fields},
            "status": {"conditions": [condition], "images": [heartbeat]},
        }

    recorder = start()
    await recorder.changed(delta(node("True", "1"), initial=True))
    await recorder.changed(delta(node("True", "2")))
    await recorder.changed(delta(node("Unknown", "2")))
    await recorder.flush()
    (found,) = await changes()
    assert (found.manager, found.restorable) == ("kube-controller-manager", False)
    assert [d.path for d in found.differences] == ["status.conditions[Ready].status"]


async def test_a_version_that_is_too_large_keeps_its_differences_only(start: Any, changes: Any, store: Store) -> None:
    def config(text: str) -> Any:
        metadata = {"name": "c", "namespace": "shop", "uid": "u-c"}
        return {"kind": "ConfigMap", "metadata": metadata, "data": {"a": "x" * 5000, "b": text}}

    recorder = start(max_object_bytes=1024)
    await recorder.changed(delta(config("1"), initial=True))
    for text in "23":
        await recorder.changed(delta(config(text)))
        await recorder.flush()
    found = await changes()
    assert [[(d.before, d.after) for d in v.differences] for v in found] == [[('"1"', '"2"')], [('"2"', '"3"')]]
    assert {v.lost for v in found} == {"larger than 1024 bytes"}
    assert not any(v.restorable for v in found)
    sizes = await store.read(lambda con: con.execute("SELECT body_bytes FROM object_versions ORDER BY seq").fetchall())
    assert [size > 0 for (size,) in sizes] == [False, False, True]


async def test_a_change_of_a_redacted_value_alone_is_told_without_the_value(start: Any, changes: Any) -> None:
    recorder = start()
    for number, word in enumerate(("correct-horse", "battery-staple")):
        raw = deployment()
        raw["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "DB_PASSWORD", "value": word}]
        await recorder.changed(delta(raw, initial=number == 0))
    await recorder.flush()
    (found,) = await changes()
    assert [(d.path, d.before == d.after) for d in found.differences] == [
        ("spec.template.spec.containers[web].env[DB_PASSWORD].value", True)
    ]
    assert found.lost == "redacted: spec.template.spec.containers[web].env[DB_PASSWORD].value"
    assert "horse" not in repr(found)
    assert "staple" not in repr(found)


async def test_the_buffer_is_written_before_it_grows_too_large(start: Any, store: Store) -> None:
    recorder = start(max_object_bytes=2**20)
    for number in range(12):
        metadata = {"name": f"c{number}", "namespace": "shop", "uid": f"u{number}"}
        raw = {"kind": "ConfigMap", "metadata": metadata, "data": {"a": "x" * 500_000}}
        await recorder.changed(delta(raw, initial=True))
        assert recorder.buffered_bytes <= MAX_BUFFER_BYTES
    (written,) = await store.read(lambda con: con.execute("SELECT count(*) FROM object_versions").fetchone())
    assert written >= 8


async def test_news_is_written_while_it_runs(start: Any, store: Store) -> None:
    recorder = start()
    running = asyncio.create_task(recorder.run())
    await recorder.changed(delta(deployment(), initial=True))
    async with asyncio.timeout(10):
        while recorder.buffered_bytes:  # noqa: ASYNC110 - the recorder tells nobody
            await asyncio.sleep(0.05)
    assert await store.read(lambda con: con.execute("SELECT count(*) FROM object_versions").fetchone()) == (1,)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_was_written_is_counted_by_event(store: Store, clock: Clock) -> None:
    metrics = Metrics()
    recorder = Recorder(store, now=clock, metrics=metrics)
    for number, image in enumerate(("nginx:1", "nginx:2", "nginx:3")):
        await recorder.changed(delta(deployment(image), initial=not number))
    await recorder.flush()
    assert metrics.changes_recorded.labels(event="changed")._value.get() == 2


async def test_what_the_store_refused_still_waits(start: Any, store: Store) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    await asyncio.to_thread(store.close)
    with pytest.raises(StoreUnavailable):
        await recorder.flush()
    assert recorder.buffered_bytes > 0


async def test_what_was_on_its_way_when_the_end_came_is_written_once(start: Any, changes: Any, store: Store) -> None:
    recorder = start()
    await recorder.changed(delta(deployment(), initial=True))
    await recorder.changed(delta(deployment("nginx:2")))
    writing = asyncio.create_task(recorder.flush())
    await asyncio.sleep(0)  # the store has it, and the answer is not there yet
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await recorder.flush()
    await store.write(lambda con: None)  # after all that came before
    assert [version.event for version in await changes()] == [VersionEvent.CHANGED]
    assert recorder.buffered_bytes == 0


async def test_secrets_are_never_recorded(start: Any, store: Store) -> None:
    recorder = start()
    metadata = {"name": "s", "namespace": "shop", "uid": "u-s"}
    await recorder.changed(delta({"kind": "Secret", "metadata": metadata, "data": {"a": "aHVudGVyMg=="}}))
    await recorder.flush()
    assert await store.read(lambda con: con.execute("SELECT count(*) FROM object_versions").fetchone()) == (0,)


async def test_prune_goes_by_the_limits(start: Any, changes: Any, clock: Clock) -> None:
    recorder = start(max_versions=2, keep_days=1)
    await recorder.changed(delta(deployment("nginx:0"), initial=True))
    for number in range(1, 6):
        await recorder.changed(delta(deployment(f"nginx:{number}")))
    await recorder.flush()
    assert await recorder.prune() == 4
    assert len(await changes()) == 2
    clock.pass_seconds(2 * 86400)
    assert await recorder.prune() == 1
    assert len(await changes()) == 1
