"""An HTTP server that answers as it is told and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from responder.cluster.client import Client, Limits

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedServer:
    """Answers the n-th request with the n-th of `answers`, and from then on with the last one."""

    url: str = ""
    answers: list[Answerer] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, path with query, body."""
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first request."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        position = min(len(self.requests), len(self.answers) - 1)
        self.requests.append((request.method, request.path_qs, await request.read()))
        self.headers.append(dict(request.headers))
        self.asked.set()
        return await self.answers[position](request)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    async with TestServer(app) as running:
        scripted.url = str(running.make_url("")).rstrip("/")
        yield scripted


@pytest.fixture
async def client(server: ScriptedServer) -> AsyncIterator[Client]:
    """Impatient, so that what waits in earnest waits for milliseconds here."""
    limits = Limits(connect=1.0, request=0.5, write=0.5, retry_for=5.0, attempts=4, backoff=0.001, longest_backoff=0.01)
    connected = Client.from_token(url=server.url, token="secret", limits=limits)
    yield connected
    await connected.close()
