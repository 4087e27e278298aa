"""The listening socket, with the limits against slow and many clients that an aiohttp application has not.

- Header time: aiohttp starts its keep-alive timer when a connection opens and after each answer, and closes the
  connection if no complete request head has come when it fires, whatever trickles in. So the keep-alive time is the
  header time; a client that keeps connections longer than that opens a new one.
- Body time: the handlers that read bodies have it.
- Connections: one more than the limit is closed at once. Slow ones hold their place for the header time at most.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from responder.serving import Server
from responder.telemetry import get_logger

log = get_logger("api")


@dataclass(frozen=True, kw_only=True)
class ListenerLimits:
    header_timeout_seconds: float = 10.0
    """From the opening of a connection, or from the last answer on it, to the end of the request's headers."""
    max_connections: int = 4096
    max_header_bytes: int = 16 * 1024
    """Of one header field; the request line has the same limit."""
    shutdown_seconds: float = 5.0
    """How long requests in flight may still take when the listener closes."""


class _NotTheSender(logging.Filter):
    """Keeps malformed requests out of the log: their sender is told, and could otherwise fill it."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_HTTP_LOG = logging.getLogger("responder.http")
_HTTP_LOG.addFilter(_NotTheSender())


class _Refused(asyncio.Protocol):
    """Closes what it is given."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Listener:
    """Serves one application on one address until `close`."""

    def __init__(self, app: web.Application, *, limits: ListenerLimits | None = None) -> None:
        self._limits = limits or ListenerLimits()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_HTTP_LOG,
            keepalive_timeout=self._limits.header_timeout_seconds,
            max_line_size=self._limits.max_header_bytes,
            max_field_size=self._limits.max_header_bytes,
            lingering_time=2.0,
            shutdown_timeout=self._limits.shutdown_seconds,
        )
        self._server = Server(self._runner)
        self._full = False
        self.port = 0
        """The one that was bound, once `open` has returned: useful after asking for port 0."""

    async def open(self, host: str, port: int) -> None:
        """Raises OSError: the address cannot be bound."""
        self.port = await self._server.open(host, port, protocol=self._protocol, backlog=1024)

    async def close(self) -> None:
        """Stop listening, let requests in flight end within their time, then close their connections."""
        await self._server.close()

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        full = server is None or len(server.connections) >= self._limits.max_connections
        if full and not self._full:
            log.warning("connections are refused: too many are open", limit=self._limits.max_connections)
        self._full = full
        return _Refused() if server is None or full else server()
