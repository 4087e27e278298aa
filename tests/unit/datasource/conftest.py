"""A server that answers as Prometheus does, or as it should not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer


class Stub:
    """Answers every query with `status` and `body`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes | str = ""
        self.headers: Mapping[str, str] = {}
        self.forms: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.hold: Callable[[], Awaitable[object]] | None = None
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.forms.append({key: str(value) for key, value in form.items()})
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.hold is not None:
            await self.hold()
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    app = web.Application()
    app.router.add_post("/prefix/api/v1/query", stub.answer)
    app.router.add_post("/prefix/api/v1/query_range", stub.answer)
    async with TestServer(app) as server:
        stub.url = str(server.make_url("/prefix"))
        yield stub
