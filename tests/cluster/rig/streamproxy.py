"""The fault proxy for watches: lines pass one by one, so that a test can drop, double, swap or cut them.

Everything that is no watch is the business of `FaultProxy`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from .faultproxy import FaultProxy, Reply

LONGEST_LINE = 2**21
FOREVER = aiohttp.ClientTimeout(total=None)

Bend = Callable[[int, AsyncIterator[bytes]], AsyncIterator[bytes]]
"""Gets the number of the watch, from 1, and its lines with their ends; gives what the client shall receive.

When it ends, so does the answer, in good order; `Cut` breaks the connection."""


class Cut(Exception):
    """The connection breaks after what has been given so far."""


async def straight(_: int, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line


@dataclass(kw_only=True)
class StreamProxy(FaultProxy):
    """Use `stream_proxy`."""

    on_watch: Bend = straight
    watches: int = 0
    """That were asked for so far."""
    refusals: list[Reply] = field(default_factory=list)
    """Answers to the next watches, in place of the server's."""
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def refuse(self) -> None:
        for task in self._open:
            task.cancel()  # the server would wait for them
        await super().refuse()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.query.get("watch") not in ("1", "true"):
            return await super()._serve(request)
        self.watches += 1
        if self.refusals:
            return _plain(self.refusals.pop(0))
        headers = CIMultiDict(request.headers)
        headers.popall("Host", None)
        headers["Accept-Encoding"] = "identity"
        target = self.upstream + request.path_qs
        async with self.session.get(target, headers=headers, ssl=self.context, timeout=FOREVER) as answer:
            if answer.status != 200:
                return _plain(Reply(status=answer.status, body=await answer.read(), content_type=answer.content_type))
            return await self._pass(request, answer, self.watches)

    async def _pass(self, request: web.BaseRequest, answer: aiohttp.ClientResponse, number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        passing = asyncio.create_task(self._write(response, self.on_watch(number, aiter(answer.content))))
        self._open.add(passing)
        try:
            await passing
        except (Cut, aiohttp.ClientError, asyncio.CancelledError):
            if request.transport is not None:
                request.transport.close()
        except ConnectionError:
            pass  # the client has gone
        finally:
            passing.cancel()
            self._open.discard(passing)
        return response

    async def _write(self, response: web.StreamResponse, lines: AsyncIterator[bytes]) -> None:
        async for line in lines:
            await response.write(line)


def _plain(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers={"Content-Type": reply.content_type})


@asynccontextmanager
async def stream_proxy(url: str, ca_file: Path | None) -> AsyncIterator[StreamProxy]:
    context: Any = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    async with aiohttp.ClientSession(read_bufsize=LONGEST_LINE) as session:
        proxy = StreamProxy(upstream=url, session=session, context=context)
        await proxy.accept()
        try:
            yield proxy
        finally:
            await proxy.refuse()
