"""How an HTTP server listens, and how it ends with nobody left on the line."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from aiohttp import web

_TURNS = 4
"""Of the event loop, until the runner knows a connection that the system has accepted: one to take it, one to make its
transport, one to tell the protocol."""


class Server:
    """Serves the application of `runner` on one address, from `open` to `close`."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._server: asyncio.Server | None = None

    async def open(
        self,
        host: str,
        port: int,
        *,
        protocol: Callable[[], asyncio.Protocol] | None = None,
        tls: ssl.SSLContext | None = None,
        backlog: int = 128,
    ) -> int:
        """The port that was bound, of use after asking for port 0. `protocol` takes the connections instead of the
        runner's own. Raises OSError: the address cannot be bound."""
        await self._runner.setup()
        factory = protocol or self._runner.server
        assert factory is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(factory, host, port, ssl=tls, backlog=backlog)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening, let requests in flight end within the runner's time, then close their connections.

        asyncio drops a connection without closing it when its server is closed between accepting it and making its
        transport (`Server._attach`); the client would wait for an answer as long as this process lives. So no more
        are accepted first, and those that just arrive come in.
        """
        if self._server is not None:
            loop = asyncio.get_running_loop()
            for listening in self._server.sockets:
                loop.remove_reader(listening.fileno())
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None
        await self._runner.cleanup()
