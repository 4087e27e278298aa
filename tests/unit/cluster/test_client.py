"""Reads are repeated within limits, writes never; whatever the network does ends as an error of the domain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from responder import sandbox
from responder.cluster.client import Client, Limits
from responder.domain.errors import (
    ClusterUnavailable,
    ConfigError,
    Forbidden,
    ObjectGone,
    PlanInvalid,
    ResponderError,
    WriteOutcomeUnknown,
)

CERTIFICATES = Path(sandbox.__file__).with_name("simulation_only_tls.pem")

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(status: int = 200, body: object = None, **headers: str) -> Answerer:
    async def give(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body if body is not None else {"ok": True}, status=status, headers=named)

    return give


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def cut_connection(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"half":')
    assert request.transport is not None
    request.transport.abort()
    return response


async def one_line_then_silence(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"line\n")
    return await hang(request)


async def no_json(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>proxy</html>")


async def read(client: Client) -> Any:
    return await client.read("/api/v1/pods", {"limit": "5"}, about="list Pod")


async def write(client: Client, *, dry_run: bool = False) -> Any:
    return await client.write("PATCH", "/x", {"fieldManager": "clopus"}, [], about="patch", dry_run=dry_run)


async def read_lines(client: Client, lines: list[bytes]) -> None:
    async with client.stream("/watch", {}, about="watch", idle=0.2) as response:
        async for line in response.content:
            lines.append(line)


class TestReads:
    async def test_a_good_answer_is_decoded(self, server: Any, client: Client) -> None:
        server.answers = [answer(body={"items": []})]
        assert await read(client) == {"items": []}
        assert server.requests == [("GET", "/api/v1/pods?limit=5", b"")]

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    async def test_a_busy_server_is_asked_again(self, server: Any, client: Client, status: int) -> None:
        server.answers = [answer(status), answer(status), answer(body={"n": 3})]
        assert await read(client) == {"n": 3}
        assert len(server.requests) == 3

    @pytest.mark.parametrize("fault", [cut_connection, cut_body, hang], ids=lambda fault: fault.__name__)
    async def test_a_lost_answer_is_asked_for_again(self, server: Any, client: Client, fault: Answerer) -> None:
        server.answers = [fault, answer(body={"n": 2})]
        assert await read(client) == {"n": 2}

    async def test_the_attempts_are_counted(self, server: Any, client: Client) -> None:
        server.answers = [answer(503)]
        with pytest.raises(ClusterUnavailable):
            await read(client)
        assert len(server.requests) == 4

    async def test_the_servers_wish_to_wait_is_honoured(self, server: Any, client: Client) -> None:
        server.answers = [answer(429, Retry_After="1"), answer()]
        loop = asyncio.get_running_loop()
        before = loop.time()
        await read(client)
        assert loop.time() - before >= 1.0

    async def test_a_wish_beyond_patience_is_passed_on_at_once(self, server: Any, client: Client) -> None:
        server.answers = [answer(429, Retry_After="3600")]
        with pytest.raises(ClusterUnavailable) as caught:
            await read(client)
        assert caught.value.delay_seconds == 60.0
        assert len(server.requests) == 1

    async def test_a_date_in_place_of_seconds_counts_as_no_wish(self, server: Any, client: Client) -> None:
        server.answers = [answer(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), answer(body={"n": 2})]
        assert await read(client) == {"n": 2}

    @pytest.mark.parametrize(("status", "expected"), [(401, Forbidden), (403, Forbidden), (404, ObjectGone)])
    async def test_a_no_is_not_asked_again(
        self, server: Any, client: Client, status: int, expected: type[ResponderError]
    ) -> None:
        server.answers = [answer(status)]
        with pytest.raises(expected):
            await read(client)
        assert len(server.requests) == 1

    async def test_an_answer_that_is_no_json_is_not_taken_for_one(self, server: Any, client: Client) -> None:
        server.answers = [no_json]
        with pytest.raises(ClusterUnavailable):
            await read(client)

    async def test_redirects_are_not_followed(self, server: Any, client: Client) -> None:
        server.answers = [answer(307, Location="/elsewhere")]
        with pytest.raises(ClusterUnavailable):
            await read(client)
        assert [path for _, path, _ in server.requests] == ["/api/v1/pods?limit=5"]

    async def test_cancellation_is_left_alone(self, server: Any, client: Client) -> None:
        server.answers = [hang]
        task = asyncio.create_task(read(client))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestWrites:
    async def test_a_good_answer_is_decoded(self, server: Any, client: Client) -> None:
        server.answers = [answer(body={"kind": "Pod"})]
        assert await write(client) == {"kind": "Pod"}

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    @pytest.mark.parametrize("dry_run", [True, False])
    async def test_a_write_is_sent_once_whatever_the_answer(
        self, server: Any, client: Client, status: int, dry_run: bool
    ) -> None:
        server.answers = [answer(status, Retry_After="0")]
        with pytest.raises(ResponderError):
            await write(client, dry_run=dry_run)
        assert len(server.requests) == 1

    @pytest.mark.inv(12, 13)
    @pytest.mark.parametrize(
        "fault",
        [cut_connection, cut_body, hang, no_json, answer(500), answer(504)],
        ids=["connection cut", "body cut", "no answer", "no JSON", "500", "504"],
    )
    async def test_a_write_whose_answer_is_lost_is_unknown_and_sent_once(
        self, server: Any, client: Client, fault: Answerer
    ) -> None:
        server.answers = [fault]
        with pytest.raises(WriteOutcomeUnknown):
            await write(client)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("fault", [cut_connection, cut_body, hang, no_json], ids=lambda fault: fault.__name__)
    async def test_a_lost_dry_run_changed_nothing(self, server: Any, client: Client, fault: Answerer) -> None:
        server.answers = [fault]
        with pytest.raises(ClusterUnavailable):
            await write(client, dry_run=True)

    async def test_a_write_that_found_no_server_changed_nothing(self) -> None:
        nowhere = Client.from_token(url="http://127.0.0.1:1", token="x")
        with pytest.raises(ClusterUnavailable):
            await write(nowhere)
        await nowhere.close()

    async def test_a_redirected_write_is_not_sent_on(self, server: Any, client: Client) -> None:
        server.answers = [answer(307, Location="/elsewhere")]
        with pytest.raises(ClusterUnavailable):
            await write(client)
        assert len(server.requests) == 1

    async def test_a_refusal_is_final(self, server: Any, client: Client) -> None:
        server.answers = [answer(400, {"message": "strict decoding error"})]
        with pytest.raises(PlanInvalid, match="strict decoding error"):
            await write(client)


class TestStreams:
    async def test_a_silent_stream_ends_as_unavailable(self, server: Any, client: Client) -> None:
        server.answers = [one_line_then_silence]
        lines: list[bytes] = []
        with pytest.raises(ClusterUnavailable):
            await read_lines(client, lines)
        assert lines == [b"line\n"]

    async def test_a_stream_asks_the_kernel_whether_its_peer_is_alive(self, server: Any, client: Client) -> None:
        server.answers = [one_line_then_silence]
        async with client.stream("/watch", {}, about="watch", idle=5.0) as response:
            assert response.connection is not None
            assert response.connection.transport is not None
            used = response.connection.transport.get_extra_info("socket")
            assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1

    async def test_a_refused_stream_is_an_error_of_the_domain(self, server: Any, client: Client) -> None:
        server.answers = [answer(403)]
        with pytest.raises(Forbidden):
            async with client.stream("/watch", {}, about="watch", idle=1.0):
                pass


class TestCredentials:
    async def test_the_token_is_sent(self, server: Any, client: Client) -> None:
        server.answers = [answer()]
        await read(client)
        assert server.headers[0]["Authorization"] == "Bearer secret"

    async def test_a_kubeconfig_names_server_and_token(self, server: Any, tmp_path: Path) -> None:
        server.answers = [answer()]
        path = tmp_path / "config"
        path.write_text(json.dumps(kubeconfig(server.url, {"token": "from-file"})))
        client = await Client.from_kubeconfig(path)
        await read(client)
        await client.close()
        assert server.headers[0]["Authorization"] == "Bearer from-file"

    async def test_a_changed_token_file_is_read_again(
        self, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("responder.cluster.credentials.TOKEN_FILE_PERIOD", 0.0)
        server.answers = [answer()]
        async with with_token_file(server.url, tmp_path / "token", "first\n") as client:
            await read(client)
            (tmp_path / "token").write_text("second")
            await read(client)
        assert sent(server) == ["Bearer first", "Bearer second"]

    async def test_a_token_file_is_looked_at_once_a_period(self, server: Any, tmp_path: Path) -> None:
        server.answers = [answer()]
        async with with_token_file(server.url, tmp_path / "token", "first") as client:
            await read(client)
            (tmp_path / "token").unlink()
            await read(client)
        assert sent(server) == ["Bearer first", "Bearer first"]

    async def test_a_refused_token_is_read_afresh_at_once(self, server: Any, tmp_path: Path) -> None:
        server.answers = [answer(401), answer()]
        async with with_token_file(server.url, tmp_path / "token", "first") as client:
            with pytest.raises(Forbidden):
                await read(client)
            (tmp_path / "token").write_text("second")
            await read(client)
        assert sent(server) == ["Bearer first", "Bearer second"]

    @pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
    async def test_without_a_readable_token_nothing_is_sent(
        self, server: Any, tmp_path: Path, content: bytes | None
    ) -> None:
        server.answers = [answer()]
        async with with_token_file(server.url, tmp_path / "token", "first") as client:
            if content is None:
                (tmp_path / "token").unlink()
            else:
                (tmp_path / "token").write_bytes(content)
            with pytest.raises(ClusterUnavailable, match="CredentialMissing"):
                await read(client)
        assert server.requests == []

    async def test_in_a_pod_a_refused_token_is_read_afresh(
        self, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        library = "kubernetes_asyncio.config.incluster_config"
        for name in (f"{library}.SERVICE_TOKEN_FILENAME", "responder.cluster.client.SERVICE_TOKEN_FILENAME"):
            monkeypatch.setattr(name, str(tmp_path / "token"))
        monkeypatch.setattr(f"{library}.SERVICE_CERT_FILENAME", str(CERTIFICATES))
        server.answers = [answer(401), answer()]
        (tmp_path / "token").write_text("first")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
        client = Client.in_cluster(limits=Limits(attempts=1))
        client._configuration.host = server.url  # the library insists on https
        with pytest.raises(Forbidden):
            await read(client)
        (tmp_path / "token").write_text("second")
        await read(client)
        await client.close()
        assert sent(server) == ["Bearer first", "Bearer second"]

    async def test_a_refused_token_of_a_kubeconfig_is_read_afresh(
        self, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("responder.cluster.credentials.TOKEN_FILE_PERIOD", 0.0)
        server.answers = [answer(401), answer()]
        token = tmp_path / "token"
        token.write_text("first")
        path = tmp_path / "config"
        path.write_text(json.dumps(kubeconfig(server.url, {"tokenFile": str(token)})))
        client = await Client.from_kubeconfig(path)
        with pytest.raises(Forbidden):
            await read(client)
        token.write_text("second")
        await read(client)
        await client.close()
        assert sent(server) == ["Bearer first", "Bearer second"]

    async def test_more_streams_may_be_open_than_a_pool_would_hold(self, server: Any) -> None:
        server.answers = [one_line_then_silence]
        client = Client.from_token(url=server.url, token="x")
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(120):
                await stack.enter_async_context(client.stream("/watch", {}, about="watch", idle=5.0))
            assert len(server.requests) == 120
        await client.close()

    @pytest.mark.parametrize("content", [None, "", "a: [", "{}", "clusters: []"])
    async def test_an_unusable_kubeconfig_is_a_configuration_error(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "config"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError, match="no usable cluster credentials"):
            await Client.from_kubeconfig(path)

    async def test_outside_a_pod_there_is_no_service_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.raises(ConfigError, match="Service host/port is not set"):
            Client.in_cluster()

    async def test_a_renewed_token_is_read_from_the_kubeconfig(
        self, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("responder.cluster.credentials.CREDENTIAL_PERIOD", 0.0)
        server.answers = [answer()]
        token = tmp_path / "token"
        token.write_text("first")
        path = tmp_path / "config"
        path.write_text(json.dumps(kubeconfig(server.url, {"tokenFile": str(token)})))
        client = await Client.from_kubeconfig(path)
        await read(client)
        token.write_text("second")
        await read(client)
        await client.close()
        assert [headers["Authorization"] for headers in server.headers] == ["Bearer first", "Bearer second"]


@contextlib.asynccontextmanager
async def with_token_file(url: str, path: Path, content: str) -> AsyncIterator[Client]:
    client = made_with_token_file(url, path, content)
    yield client
    await client.close()


def made_with_token_file(url: str, path: Path, content: str) -> Client:
    path.write_text(content)
    return Client.from_token(url=url, token_file=path, limits=Limits(attempts=1))


def sent(server: Any) -> list[str]:
    return [headers["Authorization"] for headers in server.headers]


def kubeconfig(url: str, user: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }


def test_a_write_may_take_longer_than_a_read() -> None:
    assert Limits().write > Limits().request
