"""The reflector on the sandbox and on a real control plane, over connections that fail in every way they can.

Whatever happens, in the end the cache holds what the server has, and every deletion has been told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rig.api import Api, unique
from rig.controlplane import ControlPlane
from rig.faultproxy import Asked, Forward, Reply
from rig.served import until
from rig.streamproxy import Cut, StreamProxy, stream_proxy

from responder.cluster.client import Client, Limits
from responder.cluster.kubernetes import KubernetesCluster
from responder.cluster.trim import trim
from responder.cluster.watch import Delta, DeltaType, Reflector, WatchState
from responder.domain.errors import StoreUnavailable
from responder.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning"  # an API server is killed under TLS; once a connection to it stayed unclosed
)

MAPS = "api/v1/configmaps"
PATIENT = Limits(retry_for=2.0, attempts=2)
NOT_OURS = "kube-root-ca.crt"  # the cluster makes one in every namespace


@dataclass
class Recorder:
    """A sink that remembers."""

    deltas: list[Delta] = field(default_factory=list)
    lists: int = 0
    fails: bool = False
    begun: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, the sink is busy."""

    def __post_init__(self) -> None:
        self.gate.set()

    async def changed(self, delta: Delta) -> None:
        if delta.name != NOT_OURS:
            self.begun += 1
            await self.gate.wait()
            self.deltas.append(delta)
        if self.fails:
            raise StoreUnavailable("full")

    async def synced(self, kind: str, namespace: str) -> None:
        self.lists += 1
        if self.fails:
            raise StoreUnavailable("full")

    def of(self, name: str) -> list[DeltaType]:
        return [delta.type for delta in self.deltas if delta.name == name]


@dataclass(kw_only=True)
class Followed:
    reflector: Reflector
    sink: Recorder

    def names(self) -> set[str]:
        return {name for (_, name), _ in self.reflector.cache.entries()} - {NOT_OURS}

    async def synced(self) -> None:
        await until(lambda: self.reflector.status.synced_once, "the first list is not complete")

    async def holds(self, *names: str) -> None:
        await until(lambda: self.names() == set(names), f"the cache does not hold {names}")

    async def told(self, name: str, *types: DeltaType) -> None:
        await until(lambda: self.sink.of(name) == list(types), f"{name} was not told as {types}")

    async def in_state(self, state: WatchState) -> None:
        await until(lambda: self.reflector.status.state is state, f"the watch is not {state}")


Follow = Callable[..., Awaitable[Followed]]

UPSERT, DELETE = DeltaType.UPSERT, DeltaType.DELETE


@pytest.fixture
async def follow(api: Api) -> AsyncIterator[Follow]:
    """Starts a reflector of the test's ConfigMaps; ends all of them."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(url: str = "", **options: Any) -> Followed:
            return await stack.enter_async_context(_following(api, url or api.url, **options))

        yield start


@contextlib.asynccontextmanager
async def _following(
    api: Api, url: str, *, kind: str = "ConfigMap", token_file: Path | None = None, grace: float = 30.0, **options: Any
) -> AsyncIterator[Followed]:
    client = Client.from_token(url=url, token=api.token, token_file=token_file, ca_file=api.ca_file, limits=PATIENT)
    cluster, sink = KubernetesCluster(client, watch_grace=grace), Recorder()
    options = {"resync_seconds": 900.0, **options}
    reflector = Reflector(cluster, kind, api.namespace, trim=trim, sink=sink, **options)
    task = asyncio.create_task(reflector.run())
    try:
        yield Followed(reflector=reflector, sink=sink)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await cluster.close()


@pytest.fixture
async def proxy(api: Api) -> AsyncIterator[StreamProxy]:
    async with stream_proxy(api.url, api.ca_file) as running:
        yield running


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}}


async def create(api: Api, *names: str) -> None:
    for name in names:
        await api.create(MAPS, config_map(name))


async def change(api: Api, name: str, value: str) -> None:
    path = f"/api/v1/namespaces/{api.namespace}/configmaps/{name}"
    await api.expect("PATCH", path, {"data": {"a": value}}, content_type="application/merge-patch+json")


async def delete(api: Api, name: str) -> None:
    await api.expect("DELETE", f"/api/v1/namespaces/{api.namespace}/configmaps/{name}")


def event(line: bytes) -> tuple[str, str]:
    """Type and name."""
    document = json.loads(line)
    return document["type"], document["object"].get("metadata", {}).get("name", "")


def of_ours(line: bytes) -> bool:
    type_, name = event(line)
    return type_ != "BOOKMARK" and name != NOT_OURS


class TestFollowing:
    async def test_creation_change_and_deletion_are_told(self, api: Api, follow: Follow) -> None:
        followed = await follow()
        await followed.synced()
        await create(api, "a")
        await change(api, "a", "2")
        await delete(api, "a")
        await followed.told("a", UPSERT, UPSERT, DELETE)
        made, changed, gone = [delta for delta in followed.sink.deltas if delta.name == "a"]
        assert made.raw is not None
        assert "managedFields" in made.raw["metadata"]
        assert changed.raw is not None
        assert changed.raw["data"] == {"a": "2"}
        assert gone.raw is not None
        assert gone.trimmed is None
        assert not any(delta.initial or delta.relisted for delta in (made, changed, gone))

    async def test_what_was_there_before_is_told_as_initial(self, api: Api, follow: Follow) -> None:
        await create(api, "a", "b")
        followed = await follow()
        await followed.holds("a", "b")
        assert {(delta.name, delta.initial, delta.relisted) for delta in followed.sink.deltas} == {
            ("a", True, False),
            ("b", True, False),
        }

    async def test_all_namespaces_are_followed_by_one_watch(self, api: Api) -> None:
        client = Client.from_token(url=api.url, token=api.token, ca_file=api.ca_file)
        cluster, sink = KubernetesCluster(client), Recorder()
        reflector = Reflector(cluster, "ConfigMap", "", trim=trim, sink=sink, resync_seconds=900.0)
        task = asyncio.create_task(reflector.run())
        name = unique("everywhere")
        await until(lambda: reflector.status.synced_once, "the first list is not complete")
        await create(api, name)
        await until(lambda: sink.of(name) == [UPSERT], "it was not told")
        assert [delta.namespace for delta in sink.deltas if delta.name == name] == [api.namespace]
        assert reflector.cache.get(api.namespace, name) is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await cluster.close()

    async def test_a_list_asked_for_finds_nothing_new_and_tells_nothing(self, api: Api, follow: Follow) -> None:
        await create(api, "a")
        followed = await follow()
        await followed.holds("a")
        followed.reflector.relist()
        await until(lambda: followed.sink.lists == 2, "it was not listed again")
        assert followed.sink.of("a") == [UPSERT]

    async def test_an_object_made_anew_under_the_same_name_is_told_as_two(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on_watch = silent
        await create(api, "a")
        followed = await follow(proxy.url)
        await followed.holds("a")
        await delete(api, "a")
        await create(api, "a")
        followed.reflector.relist()
        await followed.told("a", UPSERT, DELETE, UPSERT)

    async def test_what_a_sink_failed_to_take_is_told_again_by_the_next_list(self, api: Api, follow: Follow) -> None:
        followed = await follow()
        await followed.synced()
        followed.sink.fails = True
        await create(api, "a")
        await followed.told("a", UPSERT)
        followed.sink.fails = False
        followed.reflector.relist()
        await followed.told("a", UPSERT, UPSERT)
        assert followed.reflector.status.undelivered == 1
        assert followed.reflector.status.state is WatchState.LIVE

    async def test_a_list_asked_for_does_not_break_off_what_the_sink_has_begun(self, api: Api, follow: Follow) -> None:
        followed = await follow()
        await followed.synced()
        followed.sink.gate.clear()
        await create(api, "a")
        await until(lambda: followed.sink.begun == 1, "the sink was not called")
        followed.reflector.relist()
        followed.sink.gate.set()
        await until(lambda: followed.sink.lists == 2, "it was not listed again")
        assert followed.sink.of("a") == [UPSERT]
        assert followed.reflector.status.undelivered == 0

    async def test_a_watch_that_the_server_ends_goes_on_where_it_was(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        followed = await follow(proxy.url, watch_seconds=1.0)
        await until(lambda: proxy.watches >= 3, "the watch did not go on")
        await create(api, "a")
        await followed.told("a", UPSERT)
        assert followed.reflector.status.relists == 0


async def silent(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A connection over which nothing comes any more."""
    async for _line in lines:
        pass
    yield b""


async def empty(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    return
    yield b""


async def silent_at_first(number: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if number == 1:
        await asyncio.Event().wait()
    async for line in lines:
        yield line


async def cut_within_the_first_event(number: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for line in lines:
        if number == 1 and of_ours(line):
            yield line[: len(line) // 2]
            raise Cut
        yield line


async def ended_within_the_first_event(number: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for line in lines:
        if number == 1 and of_ours(line):
            yield line[: len(line) // 2]
            return
        yield line


async def doubled(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line
        yield line


async def swapped(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Every pair of ours in the wrong order."""
    held = b""
    async for line in lines:
        if not of_ours(line):
            yield line
        elif held:
            yield line
            yield held
            held = b""
        else:
            held = line


async def merged(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Of each pair of ours only the later one."""
    held = False
    async for line in lines:
        if not of_ours(line):
            yield line
            continue
        if held:
            yield line
        held = not held


async def without_deletions(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for line in lines:
        if event(line)[0] != "DELETED":
            yield line


class TestConnections:
    @pytest.mark.parametrize("fault", [cut_within_the_first_event, ended_within_the_first_event])
    async def test_a_watch_cut_within_an_event_loses_nothing(
        self, api: Api, follow: Follow, proxy: StreamProxy, fault: Any
    ) -> None:
        proxy.on_watch = fault
        followed = await follow(proxy.url)
        await followed.synced()
        await create(api, "a", "b")
        await delete(api, "a")
        await followed.told("a", UPSERT, DELETE)
        await followed.told("b", UPSERT)
        assert followed.reflector.status.relists == 0
        assert followed.reflector.status.failures == 1

    async def test_watches_that_end_at_once_are_not_asked_for_all_the_time(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on_watch = empty
        followed = await follow(proxy.url)
        await until(lambda: proxy.watches == 1, "it was not watched")
        started = time.monotonic()
        await until(lambda: proxy.watches == 3, "it was not watched again")
        assert time.monotonic() - started >= 1.0  # half a second after the first, and a second after the next
        await until(lambda: followed.reflector.status.failures == 3, "the third is not done")
        assert followed.reflector.status.state is WatchState.RETRYING

    async def test_a_connection_to_nobody_is_given_up_and_made_anew(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on_watch = silent_at_first
        followed = await follow(proxy.url, watch_seconds=1.0, grace=0.5)
        await followed.synced()
        await create(api, "a")
        await followed.told("a", UPSERT)
        assert proxy.watches >= 2

    async def test_a_server_that_is_away_is_waited_for(self, api: Api, follow: Follow, proxy: StreamProxy) -> None:
        await create(api, "a", "b")
        followed = await follow(proxy.url)
        await followed.holds("a", "b")
        await proxy.refuse()
        await followed.in_state(WatchState.RETRYING)
        await delete(api, "a")
        assert followed.names() == {"a", "b"}
        await proxy.accept()
        await followed.holds("b")
        await followed.in_state(WatchState.LIVE)
        assert followed.sink.of("a") == [UPSERT, DELETE]


class TestEvents:
    async def test_doubled_events_are_told_once(self, api: Api, follow: Follow, proxy: StreamProxy) -> None:
        proxy.on_watch = doubled
        followed = await follow(proxy.url)
        await followed.synced()
        await create(api, "a")
        await change(api, "a", "2")
        await delete(api, "a")
        await create(api, "last")
        await followed.told("last", UPSERT)
        assert followed.sink.of("a") == [UPSERT, UPSERT, DELETE]

    async def test_an_old_state_that_comes_late_changes_nothing(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on_watch = swapped
        followed = await follow(proxy.url)
        await followed.synced()
        await create(api, "a")
        await change(api, "a", "2")
        await create(api, "b")
        await delete(api, "b")
        await create(api, "c", "d")
        await followed.holds("a", "c", "d")
        (told,) = [delta for delta in followed.sink.deltas if delta.name == "a"]
        assert told.raw is not None
        assert told.raw["data"] == {"a": "2"}
        assert followed.sink.of("b") == []

    async def test_merged_events_show_the_newest_state(self, api: Api, follow: Follow, proxy: StreamProxy) -> None:
        proxy.on_watch = merged
        followed = await follow(proxy.url)
        await followed.synced()
        await create(api, "a")
        await change(api, "a", "2")
        await followed.told("a", UPSERT)
        (told,) = followed.sink.deltas
        assert told.raw is not None
        assert told.raw["data"] == {"a": "2"}

    async def test_a_lost_deletion_is_found_by_the_next_list(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on_watch = without_deletions
        await create(api, "a")
        followed = await follow(proxy.url, resync_seconds=1.5)
        await followed.holds("a")
        await delete(api, "a")
        await followed.told("a", UPSERT, DELETE)
        (gone,) = [delta for delta in followed.sink.deltas if delta.type is DELETE]
        assert (gone.raw, gone.trimmed, gone.relisted) == (None, None, True)
        assert gone.uid


class TestVersions:
    async def test_an_expired_version_in_the_stream_leads_to_a_list(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        expired = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}

        async def expires(number: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for line in lines:
                if number == 1 and of_ours(line):
                    yield json.dumps({"type": "ERROR", "object": expired}).encode() + b"\n"
                    return
                yield line

        proxy.on_watch = expires
        await create(api, "a")
        followed = await follow(proxy.url)
        await followed.holds("a")
        await delete(api, "a")
        await followed.told("a", UPSERT, DELETE)
        assert followed.sink.deltas[-1].relisted

    async def test_an_expired_version_as_a_status_leads_to_a_list(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.refusals = [Reply.failure(410, "too old resource version")]
        followed = await follow(proxy.url)
        await until(lambda: followed.sink.lists == 2, "it was not listed again")
        await create(api, "a")
        await followed.told("a", UPSERT)

    async def test_a_server_that_lags_behind_is_not_believed(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on = Lagging(1)
        followed = await follow(proxy.url)
        await followed.synced()
        await create(api, "a")
        await followed.told("a", UPSERT)
        followed.reflector.relist()
        await until(lambda: followed.sink.lists == 2, "it was not listed again")
        assert followed.reflector.status.failures == 1
        assert followed.sink.of("a") == [UPSERT]

    async def test_a_server_that_stays_behind_was_restored_from_a_backup(
        self, api: Api, follow: Follow, proxy: StreamProxy
    ) -> None:
        proxy.on = Lagging(1_000)
        followed = await follow(proxy.url)
        await followed.synced()
        await create(api, "a")
        await followed.told("a", UPSERT)
        followed.reflector.relist()
        await followed.told("a", UPSERT, DELETE, UPSERT)  # back in the past, and then told by the watch from there
        assert followed.reflector.status.failures >= 2

    async def test_a_compacted_history_in_the_sandbox_leads_to_a_list(self) -> None:
        async with Sandbox(nodes=0) as sandbox, aiohttp.ClientSession() as session:
            api = Api(url=sandbox.url, token=sandbox.token, ca_file=None, namespace="default", session=session)
            async with stream_proxy(api.url, None) as proxy, _following(api, proxy.url) as followed:
                await create(api, "a")
                await followed.holds("a")
                await proxy.refuse()
                await delete(api, "a")
                sandbox.store.compact()
                await proxy.accept()
                await followed.told("a", UPSERT, DELETE)
                assert followed.reflector.status.relists == 1

    @pytest.mark.cluster
    async def test_a_compacted_history_leads_to_a_list(self, control_plane: ControlPlane) -> None:
        """Of Events, which the API server reads from etcd and does not keep itself."""
        async with _real_api(control_plane) as api, stream_proxy(api.url, api.ca_file) as proxy:
            await api.create("api/v1/events", cluster_event(api, "a"))
            async with _following(api, proxy.url, kind="Event") as followed:
                await followed.holds("a")
                await proxy.refuse()
                await followed.in_state(WatchState.RETRYING)
                await api.expect("DELETE", f"/api/v1/namespaces/{api.namespace}/events/a")
                await api.create("api/v1/events", cluster_event(api, "b"))
                control_plane.compact_history()
                await proxy.accept()
                await followed.holds("b")
                assert followed.sink.of("a") == [UPSERT, DELETE]
                assert followed.sink.deltas[-1].relisted


def cluster_event(api: Api, name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "namespace": api.namespace, "name": "web"},
        "reason": "Failed",
        "message": "for a test",
        "type": "Warning",
    }


class Lagging:
    """Answers some of the lists after the first with the first."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._first: Reply | None = None

    async def __call__(self, asked: Asked, forward: Forward) -> Reply | None:
        if self._first is None:
            self._first = await forward()
            return self._first
        if self._times > 0:
            self._times -= 1
            return self._first
        return await forward()


class TestRights:
    async def test_revoked_rights_are_said_and_once_granted_again_a_deletion_is_found(
        self, api: Api, follow: Follow, tmp_path: Path
    ) -> None:
        token_file = tmp_path / "token"
        token_file.write_text(await service_account(api))
        await grant(api)
        await create(api, "a", "b")
        followed = await follow(token_file=token_file, watch_seconds=1.0)
        await followed.holds("a", "b")
        await api.expect("DELETE", f"/{RBAC}/namespaces/{api.namespace}/rolebindings/watcher")
        await followed.in_state(WatchState.FORBIDDEN)
        assert "configmaps" in followed.reflector.status.problem
        assert followed.names() == {"a", "b"}
        await delete(api, "a")
        await bind(api)
        await followed.holds("b")
        assert followed.sink.of("a") == [UPSERT, DELETE]
        await followed.in_state(WatchState.LIVE)

    async def test_a_token_that_expired_is_replaced_without_a_restart(
        self, api: Api, follow: Follow, tmp_path: Path
    ) -> None:
        token_file = tmp_path / "token"
        token_file.write_text(api.token)
        await create(api, "a")
        followed = await follow(token_file=token_file, watch_seconds=1.0)
        await followed.holds("a")
        token_file.write_text("expired")
        await followed.in_state(WatchState.FORBIDDEN)
        await delete(api, "a")
        token_file.write_text(api.token)
        await followed.told("a", UPSERT, DELETE)
        await followed.in_state(WatchState.LIVE)

    async def test_a_token_file_that_vanished_is_waited_for(self, api: Api, follow: Follow, tmp_path: Path) -> None:
        token_file = tmp_path / "token"
        token_file.write_text(api.token)
        followed = await follow(token_file=token_file, watch_seconds=1.0)
        await followed.synced()
        token_file.unlink()
        await followed.in_state(WatchState.RETRYING)
        assert "CredentialMissing" in followed.reflector.status.problem
        token_file.write_text(api.token)
        await followed.in_state(WatchState.LIVE)


RBAC = "apis/rbac.authorization.k8s.io/v1"


async def service_account(api: Api) -> str:
    """Its token."""
    await api.create("api/v1/serviceaccounts", {"metadata": {"name": "watcher"}})
    path = f"/api/v1/namespaces/{api.namespace}/serviceaccounts/watcher/token"
    answer = await api.expect("POST", path, {"spec": {"expirationSeconds": 3600}})
    token: str = answer["status"]["token"]
    return token


async def grant(api: Api) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}]
    await api.create(f"{RBAC}/roles", {"metadata": {"name": "watcher"}, "rules": rules})
    await bind(api)


async def bind(api: Api) -> None:
    binding = {
        "metadata": {"name": "watcher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"},
        "subjects": [{"kind": "ServiceAccount", "namespace": api.namespace, "name": "watcher"}],
    }
    await api.create(f"{RBAC}/rolebindings", binding)


@contextlib.asynccontextmanager
async def _real_api(plane: ControlPlane) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        namespace = plane.create_namespace()
        yield Api(url=plane.url, token=plane.admin_token, ca_file=plane.ca_file, namespace=namespace, session=session)


@pytest.mark.cluster
class TestRestarts:
    @pytest.mark.parametrize("program", ["kube-apiserver", "etcd"])
    async def test_a_restart_heals_without_a_missed_deletion(self, control_plane: ControlPlane, program: str) -> None:
        async with _real_api(control_plane) as api, _following(api, api.url) as followed:
            await create(api, "a", "b")
            await followed.holds("a", "b")
            control_plane.stop_program(program, kill=True)
            if program == "kube-apiserver":
                await followed.in_state(WatchState.RETRYING)
            control_plane.restart_program(program)
            await delete(api, "a")
            await create(api, "c")
            await followed.holds("b", "c")
            assert followed.sink.of("a") == [UPSERT, DELETE]
            await followed.in_state(WatchState.LIVE)
