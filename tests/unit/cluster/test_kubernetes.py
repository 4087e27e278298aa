"""The adapter against servers that misbehave; its contract with ones that do not is in tests/cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from responder.cluster import kubernetes
from responder.cluster.client import Client
from responder.cluster.kubernetes import KubernetesCluster
from responder.domain.errors import (
    ClusterUnavailable,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanStale,
    PolicyViolation,
    ResponderError,
    VersionExpired,
)
from responder.domain.plan import Change, PatchOp, Verb
from responder.domain.refs import ObjectRef

POD = ObjectRef(kind="Pod", namespace="shop", name="web-1")


@pytest.fixture
async def cluster(client: Client) -> AsyncIterator[KubernetesCluster]:
    return KubernetesCluster(client)


def query(request: tuple[str, str, bytes]) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(request[1]).query).items()}


def page(*names: str, position: str = "") -> Any:
    async def give(_: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"metadata": {"continue": position}, "items": [{"metadata": {"name": name}} for name in names]}
        )

    return give


async def expired(_: web.Request) -> web.StreamResponse:
    return web.json_response({"code": 410, "reason": "Expired"}, status=410)


class TestList:
    @pytest.mark.inv(21)
    async def test_a_list_that_expires_between_pages_begins_again(
        self, server: Any, cluster: KubernetesCluster
    ) -> None:
        server.answers = [page("a", position="p1"), expired, page("a", position="p2"), page("b")]
        found = await cluster.list("Pod", "shop")
        assert [live.ref.name for live in found] == ["a", "b"]
        assert [query(request).get("continue") for request in server.requests] == [None, "p1", None, "p2"]

    async def test_a_list_that_expires_twice_is_given_up(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [page("a", position="p1"), expired, page("a", position="p2"), expired]
        with pytest.raises(ClusterUnavailable, match="expired twice"):
            await cluster.list("Pod", "shop")
        assert len(server.requests) == 4

    async def test_a_page_is_limited(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [page()]
        await cluster.list("Pod", "shop")
        assert query(server.requests[0])["limit"] == "500"

    async def test_a_kind_that_is_never_read_sends_nothing(self, server: Any, cluster: KubernetesCluster) -> None:
        with pytest.raises(PermanentError):
            await cluster.list("Secret", "shop")
        assert server.requests == []


class TestPages:
    async def test_pages_carry_the_version_of_the_list_and_objects_their_kind(
        self, server: Any, cluster: KubernetesCluster
    ) -> None:
        async def listed(_: web.Request) -> web.StreamResponse:
            items = [{"metadata": {"name": "a", "managedFields": []}}]
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": items})

        server.answers = [listed]
        (found,) = [page async for page in cluster.pages("Deployment", "shop")]
        assert found.version == "7"
        assert found.objects == (
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "managedFields": []}},
        )

    async def test_pages_that_expire_between_two_say_so(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [page("a", position="p1"), expired]
        with pytest.raises(VersionExpired):
            [page async for page in cluster.pages("Pod", "shop")]


ADDED = b'{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","resourceVersion":"8"}}}\n'


def error_event(**status: Any) -> bytes:
    return json.dumps({"type": "ERROR", "object": {"kind": "Status", **status}}).encode() + b"\n"


class TestWatch:
    async def watch(self, cluster: KubernetesCluster) -> list[tuple[str, Any]]:
        events = cluster.watch("Pod", "shop", version="7", seconds=2.5)
        return [(event.type.value, event.object.get("metadata", {}).get("name")) async for event in events]

    async def test_what_is_asked_for_reaches_the_server(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [plain(b"")]
        assert await self.watch(cluster) == [("OPENED", None)]
        assert urlsplit(server.requests[0][1]).path == "/api/v1/namespaces/shop/pods"
        assert query(server.requests[0]) == {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": "7",
            "timeoutSeconds": "3",
        }

    async def test_lines_are_put_together_from_chunks(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [chunks(ADDED[:5], ADDED[5:] + ADDED + ADDED[:30], ADDED[30:])]
        assert await self.watch(cluster) == [("OPENED", None), *[("ADDED", "a")] * 3]

    async def test_a_line_of_some_megabytes_is_read(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [plain(ADDED.replace(b'"a"', b'"a","x":"' + b"x" * 3_000_000 + b'"'))]
        assert await self.watch(cluster) == [("OPENED", None), ("ADDED", "a")]

    async def test_an_endless_line_is_given_up(
        self, server: Any, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("responder.cluster.watchstream.LONGEST_LINE", 1_000_000)
        server.answers = [endless]
        with pytest.raises(ClusterUnavailable, match="longer than"):
            await self.watch(cluster)

    async def test_unknown_types_are_passed_over(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [plain(b'{"type":"OPENED","object":{}}\n{"type":"NEW"}\n{"kind":"PodList"}\n' + ADDED)]
        assert await self.watch(cluster) == [("OPENED", None), ("ADDED", "a")]

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            pytest.param(error_event(code=410, reason="Expired", message="too old"), VersionExpired, id="410"),
            pytest.param(error_event(reason="Expired"), VersionExpired, id="expired without a code"),
            pytest.param(error_event(code=403, message="no"), Forbidden, id="403"),
            pytest.param(error_event(code=500, message="etcd"), ClusterUnavailable, id="500"),
            pytest.param(error_event(), ClusterUnavailable, id="nothing said"),
            pytest.param(b"no json\n", ClusterUnavailable, id="no JSON"),
            pytest.param(ADDED[:-9], ClusterUnavailable, id="cut"),
        ],
    )
    async def test_an_error_in_the_stream_is_raised(
        self, server: Any, cluster: KubernetesCluster, body: bytes, expected: type[ResponderError]
    ) -> None:
        server.answers = [plain(body)]
        with pytest.raises(ResponderError) as caught:
            await self.watch(cluster)
        assert type(caught.value) is expected

    @pytest.mark.parametrize(
        ("answer", "expected"), [(410, VersionExpired), (403, Forbidden), (500, ClusterUnavailable)]
    )
    async def test_a_refused_watch_is_raised(
        self, server: Any, cluster: KubernetesCluster, answer: int, expected: type[ResponderError]
    ) -> None:
        server.answers = [refuses(answer, "no")]
        with pytest.raises(expected):
            await self.watch(cluster)

    async def test_a_busy_server_says_how_long_to_wait(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [plain(error_event(code=429, details={"retryAfterSeconds": 7}))]
        with pytest.raises(ClusterUnavailable) as caught:
            await self.watch(cluster)
        assert caught.value.retry_after == 7.0

    async def test_silence_beyond_the_watchs_length_means_that_nobody_is_there(
        self, server: Any, client: Client
    ) -> None:
        server.answers = [stalls_after(ADDED)]
        events = KubernetesCluster(client, watch_grace=0.2).watch("Pod", "shop", version="7", seconds=0.1)
        with pytest.raises(ClusterUnavailable):
            [event async for event in events]


def chunks(*parts: bytes) -> Any:
    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    return give


class TestLogs:
    async def log(self, cluster: KubernetesCluster, *, tail_lines: int = 200, limit_bytes: int = 1000) -> Any:
        return await cluster.logs(POD, "web", previous=True, tail_lines=tail_lines, limit_bytes=limit_bytes)

    async def test_what_is_asked_for_reaches_the_server(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [plain(b"ready\n")]
        assert (await self.log(cluster)).text == "ready\n"
        assert urlsplit(server.requests[0][1]).path == "/api/v1/namespaces/shop/pods/web-1/log"
        asked = query(server.requests[0])
        assert (asked["container"], asked["previous"], asked["tailLines"]) == ("web", "true", "200")

    async def test_the_end_of_a_long_log_is_kept(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [plain(b"a" * 5000 + b"the end")]
        tail = await self.log(cluster, limit_bytes=7)
        assert (tail.text, tail.truncated) == ("the end", True)

    async def test_lines_too_long_for_the_allowance_are_asked_for_in_smaller_numbers(
        self, server: Any, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubernetes, "LOG_SURPLUS", 1000)
        server.answers = [plain(b"x" * 2000), plain(b"x" * 2000), plain(b"the end")]
        assert (await self.log(cluster)).text == "the end"
        assert [query(request)["tailLines"] for request in server.requests] == ["200", "25", "3"]

    async def test_an_endless_line_ends_at_the_allowance(
        self, server: Any, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubernetes, "LOG_SURPLUS", 100_000)
        server.answers = [endless]
        tail = await self.log(cluster, tail_lines=1)
        assert (len(tail.text), tail.truncated) == (1000, True)

    async def test_a_log_that_stalls_is_cut_where_it_is(
        self, server: Any, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubernetes, "LOG_SECONDS", 0.3)
        server.answers = [stalls_after(b"last words\n")]
        tail = await self.log(cluster)
        assert (tail.text, tail.truncated) == ("last words\n", True)

    async def test_a_log_of_which_nothing_comes_is_not_an_empty_log(
        self, server: Any, cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubernetes, "LOG_SECONDS", 0.3)
        server.answers = [stalls_after(b"")]
        with pytest.raises(ClusterUnavailable):
            await self.log(cluster)

    async def test_a_kubelet_that_is_away_is_unavailable(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [refuses(500, "dial tcp 10.0.0.1:10250: connect: connection refused")]
        with pytest.raises(ClusterUnavailable, match="connection refused"):
            await self.log(cluster)

    async def test_a_container_that_waits_has_no_log(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [refuses(400, 'container "web" in pod "web-1" is waiting to start: image can\'t be pulled')]
        with pytest.raises(ObjectGone, match="waiting to start"):
            await self.log(cluster)


class TestApply:
    target = ObjectRef(kind="Pod", namespace="shop", name="web-1", uid="u")
    patch = (PatchOp(op="add", path="/metadata/labels", value={}),)

    @pytest.mark.inv(31)
    @pytest.mark.parametrize("verb", list(Verb))
    @pytest.mark.parametrize("dry_run", [False, True])
    async def test_the_gate_is_asked_between_the_read_and_the_write(
        self, server: Any, cluster: KubernetesCluster, verb: Verb, dry_run: bool
    ) -> None:
        asked_after: list[int] = []
        server.answers = [self._pod]
        change = Change(target=self.target, verb=verb, resource_version="7", base_hash="h", patch=self.patch)
        await cluster.apply(
            change,
            execution_id="exe-1",
            dry_run=dry_run,
            before_write=lambda: asked_after.append(len(server.requests)),
        )
        assert asked_after == ([] if dry_run else [1])
        assert len(server.requests) == 2

    @pytest.mark.inv(31)
    async def test_what_the_gate_raises_stops_the_write(self, server: Any, cluster: KubernetesCluster) -> None:
        def closed() -> None:
            raise PolicyViolation("the kill switch is on")

        server.answers = [self._pod]
        change = Change(target=self.target, resource_version="7", base_hash="h", patch=self.patch)
        with pytest.raises(PolicyViolation):
            await cluster.apply(change, execution_id="exe-1", dry_run=False, before_write=closed)
        assert [method for method, _, _ in server.requests] == ["GET"]

    async def test_a_write_waits_for_no_second_read(self, server: Any, cluster: KubernetesCluster) -> None:
        server.answers = [refuses(503, "overloaded")]
        change = Change(target=self.target, resource_version="7", base_hash="h", patch=self.patch)
        with pytest.raises(ClusterUnavailable):
            await cluster.apply(change, execution_id="exe-1", dry_run=False)
        assert len(server.requests) == 1

    async def _pod(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"name": "web-1", "uid": "u", "resourceVersion": "7"}})

    @pytest.mark.inv(24)
    async def test_a_stale_change_is_not_even_sent(self, server: Any, cluster: KubernetesCluster) -> None:
        async def moved_on(_: web.Request) -> web.StreamResponse:
            return web.json_response({"metadata": {"name": "web-1", "uid": "u", "resourceVersion": "8"}})

        server.answers = [moved_on]
        change = Change(target=self.target, resource_version="7", base_hash="h", patch=self.patch)
        with pytest.raises(PlanStale, match="version 8"):
            await cluster.apply(change, execution_id="exe-1", dry_run=False)
        assert [method for method, _, _ in server.requests] == ["GET"]


def plain(body: bytes) -> Any:
    async def give(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    return give


def refuses(status: int, message: str) -> Any:
    async def give(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": message}, status=status)

    return give


def stalls_after(body: bytes) -> Any:
    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(body)
        await asyncio.Event().wait()
        return response

    return give


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)
