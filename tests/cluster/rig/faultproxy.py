"""An HTTP proxy between the responder and its API server that a test can make unreliable.

What happens to a request is decided by `on`, a function that gets the request and a way to forward it. It returns the
answer for the client, or None: then the connection is reset. `refuse` takes the whole address away for a while.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

_GRACE_SECONDS = 0.05
"""For requests in progress; they are cut then. At 0 the server would wait for them without end."""
_HOP_BY_HOP = ("Host", "Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding", "Accept-Encoding")


@dataclass(frozen=True, kw_only=True)
class Asked:
    method: str
    target: str
    """Path with query, as it was sent."""
    headers: CIMultiDictProxy[str] = field(repr=False)
    body: bytes

    @property
    def is_read(self) -> bool:
        return self.method == "GET"

    @property
    def is_write(self) -> bool:
        """A request that changes something: no read, no review, no dry run."""
        changes = self.method in ("PATCH", "PUT", "DELETE") or self.target.partition("?")[0].endswith("/eviction")
        return changes and "dryRun=" not in self.target


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "application/json"

    @classmethod
    def failure(cls, status: int, message: str) -> Reply:
        document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status}
        return cls(status=status, body=json.dumps(document).encode())


Forward = Callable[[], Awaitable[Reply]]
Hook = Callable[[Asked, Forward], Awaitable[Reply | None]]


async def passes(_: Asked, forward: Forward) -> Reply | None:
    return await forward()


@dataclass(kw_only=True)
class FaultProxy:
    """Use `fault_proxy`. Speaks plain HTTP to the client, whatever the server speaks."""

    upstream: str
    session: aiohttp.ClientSession
    context: ssl.SSLContext | bool
    on: Hook = passes
    seen: list[Asked] = field(default_factory=list)
    _port: int = 0
    _server: web.Server | None = None
    _listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def writes(self) -> list[Asked]:
        """Every write that the responder sent, whatever became of it."""
        return [asked for asked in self.seen if asked.is_write]

    async def accept(self) -> None:
        """Listen: at first on a free port, later on the same."""
        self._server = web.Server(self._serve)
        self._listener = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Nobody listens any more, and every connection is gone."""
        assert self._listener is not None
        assert self._server is not None
        self._listener.close()
        await self._server.shutdown(_GRACE_SECONDS)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        asked = Asked(method=request.method, target=request.path_qs, headers=request.headers, body=body)
        self.seen.append(asked)
        reply = await self.on(asked, lambda: self._forward(asked))
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return web.Response(status=reply.status, body=reply.body, headers={"Content-Type": reply.content_type})

    async def _forward(self, asked: Asked) -> Reply:
        headers = CIMultiDict(asked.headers)
        for name in _HOP_BY_HOP:
            headers.popall(name, None)
        async with self.session.request(
            asked.method, self.upstream + asked.target, data=asked.body, headers=headers, ssl=self.context
        ) as answer:
            return Reply(status=answer.status, body=await answer.read(), content_type=answer.content_type)


@asynccontextmanager
async def fault_proxy(url: str, ca_file: Path | None) -> AsyncIterator[FaultProxy]:
    context: Any = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    async with aiohttp.ClientSession() as session:
        proxy = FaultProxy(upstream=url, session=session, context=context)
        await proxy.accept()
        try:
            yield proxy
        finally:
            await proxy.refuse()
