"""The kubelet's HTTPS listener, as far as `kubectl logs` and the API server's `pods/log` use it.

Decides: the shape of `/containerLogs/NAMESPACE/POD/CONTAINER` and its query, following included.
Leaves which lines a log has to `containerlog`. The certificate is a published fixture: API servers that are given no
kubelet CA do not verify it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Final

from aiohttp import web

from responder.sandbox.containerlog import ContainerLog, LogQuery, render_line, select
from responder.serving import Server

FindLog = Callable[[str, str, str], ContainerLog]
_POLL_SECONDS: Final = 0.1


class LogUnavailable(Exception):
    """The container has no log; the text is the body of the answer."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class LogServer:
    def __init__(self, find: FindLog) -> None:
        """`find` gives the log of namespace, pod, container, or raises LogUnavailable."""
        self._find = find
        self._server: Server | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/healthz", self._healthy)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        self._server = Server(runner)
        self.port = await self._server.open("127.0.0.1", 0, tls=_server_context())

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        where = request.match_info
        try:
            log = self._find(where["namespace"], where["pod"], where["container"])
        except LogUnavailable as problem:
            return web.Response(status=problem.status, text=str(problem))
        wants = _flag(request, "previous")
        lines = log.previous if wants else log.current
        if lines is None:
            text = f'previous terminated container "{where["container"]}" in pod "{where["pod"]}" not found'
            return web.Response(status=400, text=text)
        try:
            query = _query(request)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        body = select(tuple(lines), query)
        if _flag(request, "follow") and not wants:
            return await self._follow(request, log, query, body)
        return web.Response(body=body, content_type="text/plain")

    async def _follow(
        self, request: web.Request, log: ContainerLog, query: LogQuery, body: bytes
    ) -> web.StreamResponse:
        """Streams until the instance that runs now is replaced or the reader leaves."""
        lines, seen = log.current, log.written
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(body)
        while lines is log.current:
            fresh = min(log.written - seen, len(lines))
            for line in list(lines)[len(lines) - fresh :]:
                await response.write(render_line(line, timestamps=query.timestamps))
            seen = log.written
            await asyncio.sleep(_POLL_SECONDS)
        return response


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in ("true", "1")


def _query(request: web.Request) -> LogQuery:
    """Raises ValueError."""

    def number(name: str) -> int | None:
        text = request.query.get(name)
        return None if text is None else int(text)

    since = request.query.get("sinceTime")
    seconds = number("sinceSeconds")
    start = datetime.fromisoformat(since) if since else None
    if seconds is not None:
        start = datetime.now(UTC) - timedelta(seconds=seconds)
    return LogQuery(
        tail_lines=number("tailLines"),
        limit_bytes=number("limitBytes"),
        since=start,
        timestamps=_flag(request, "timestamps"),
    )


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    fixture = resources.files("responder.sandbox") / "simulation_only_tls.pem"
    with resources.as_file(fixture) as path:
        context.load_cert_chain(path)
    return context
