"""What is left of the connections to a provider."""

from __future__ import annotations

import asyncio
import time

import httpx2
from aiohttp import web

from responder.analyzer.llm.transport import drain
from responder.serving import Server

OTHERS = 15
LIMITS = httpx2.Limits(keepalive_expiry=0.2)


async def test_connections_that_expire_while_a_reply_is_read_are_all_closed_after_it():
    async def answer(_):
        return web.Response(text="a reply")

    async def busy():
        """So that closing them all takes longer than the end of a reply is waited for."""
        while True:
            time.sleep(0.02)  # noqa: ASYNC251 - what holds up the loop is the point
            await asyncio.sleep(0)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    server = Server(runner)
    url = f"http://127.0.0.1:{await server.open('127.0.0.1', 0)}/"
    async with httpx2.AsyncClient(limits=LIMITS, trust_env=False) as client:
        await asyncio.gather(*(client.get(url) for _ in range(OTHERS)))
        async with client.stream("GET", url) as response:
            await asyncio.sleep(2 * LIMITS.keepalive_expiry)  # the others expire by the clock, and nobody tells of it
            rival = asyncio.create_task(busy())
            await drain(response.aiter_bytes())
            rival.cancel()
        async with asyncio.timeout(10):
            while len(runner.server.connections) > 1:  # noqa: ASYNC110 - aiohttp tells nobody when one has gone
                await asyncio.sleep(0.01)
    await server.close()
