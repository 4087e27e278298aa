"""What both stub providers share: listening, keys, faults, and the record of what was asked.

A protocol is a subclass: it reads a request into a `Conversation`, spells a `Turn` as a stream of events or as one
body, and gives errors their form. When a reply comes, how slowly, and where it breaks off, is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson
from aiohttp import web

from responder.domain.manifest import Json
from responder.sandbox.providers.accounting import Accounting, Counted
from responder.sandbox.providers.script import Conversation, Script, Turn
from responder.serving import Server

_MAX_REQUEST_BYTES = 64 * 1024 * 1024
_MAX_REMEMBERED = 10_000
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request, whatever became of it."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Json
    """None where it was no JSON."""
    conversation: Conversation | None
    """None where the request was refused before the script was asked; likewise `turn`."""
    turn: Turn | None
    at: float
    """Monotonic seconds."""


class RequestRefused(Exception):
    """The protocol does not allow the request."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ProviderServer(ABC):
    """One stub provider on loopback, from `async with` to its end."""

    paths: ClassVar[tuple[str, ...]]
    """Where requests are posted, as aiohttp routes."""
    request_id_header: ClassVar[str]

    def __init__(self, script: Script, *, key: str | None = None) -> None:
        self.script = script
        """May be replaced while the server runs."""
        self.key = key
        """The only key that is let in; None lets everybody in. May be replaced while the server runs."""
        self.requests: list[Received] = []
        self.accounting = Accounting()
        self.url = ""
        """Base address without a path, once the server runs."""
        self._closing = asyncio.Event()
        self._server: Server | None = None
        self._ids = 0

    @abstractmethod
    def parse(self, path: str, headers: Mapping[str, str], body: Json) -> Conversation:
        """Raises RequestRefused where the real provider would refuse."""

    @abstractmethod
    def count(self, conversation: Conversation, turn: Turn) -> Counted:
        """Tokens of this request and its reply; the provider's cache learns the prompt."""

    @abstractmethod
    def events(self, conversation: Conversation, turn: Turn, counted: Counted) -> Sequence[bytes]:
        """The reply as a stream: whole server-sent events with their blank lines."""

    @abstractmethod
    def whole(self, conversation: Conversation, turn: Turn, counted: Counted) -> Json:
        """The reply as one JSON body."""

    @abstractmethod
    def error(self, status: int, message: str, request_id: str) -> Json:
        """The body of an error."""

    def mint(self, prefix: str) -> str:
        """An id that this server has not given before."""
        self._ids += 1
        return f"{prefix}{self._ids:08d}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        for path in self.paths:
            app.router.add_post(path, self._serve)
        app.router.add_route("*", "/{tail:.*}", self._not_found)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS)
        self._server = Server(runner)
        self.url = f"http://127.0.0.1:{await self._server.open('127.0.0.1', 0)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        if self._server is not None:
            await self._server.close()

    async def _not_found(self, request: web.Request) -> web.StreamResponse:
        self._remember(request, None, None, None)
        return self._refuse(404, f"no such path: {request.path}", self.mint("req_"))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        request_id = self.mint("req_")
        body, conversation, turn = None, None, None
        try:
            self._check_key(request)
            body = _json(await request.read())
            conversation = self.parse(request.path, _lower(request.headers), body)
            turn = self.script(conversation)
        except RequestRefused as refused:
            return self._refuse(refused.status, str(refused), request_id)
        finally:
            self._remember(request, body, conversation, turn)
        await self._wait(turn.delay_seconds)
        return await self._answer(request, conversation, turn, request_id)

    async def _answer(
        self, request: web.Request, conversation: Conversation, turn: Turn, request_id: str
    ) -> web.StreamResponse:
        headers = {self.request_id_header: request_id, **turn.headers}
        if turn.raw_body is not None:
            headers.setdefault("content-type", _kind(conversation))
            return web.Response(status=turn.status, body=turn.raw_body, headers=headers)
        if turn.status != 200:
            return self._refuse(turn.status, turn.text, request_id, headers)
        counted = self.count(conversation, turn)
        self.accounting.add(counted)
        if not _streams(conversation):
            return web.Response(
                body=orjson.dumps(self.whole(conversation, turn, counted)),
                content_type="application/json",
                headers=headers,
            )
        return await self._stream(request, turn, self.events(conversation, turn, counted), headers)

    async def _stream(
        self, request: web.Request, turn: Turn, events: Sequence[bytes], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "cache-control": "no-cache", **headers}
        )
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            for number, event in enumerate(events):
                if number == turn.stall_after_events:
                    await self._closing.wait()
                    break
                if number == turn.cut_after_events:
                    await response.write(event[: max(1, len(event) // 2)])
                    _hang_up(request)
                    return response
                await response.write(event)
                await self._wait(turn.chunk_delay_seconds)
            await response.write_eof()
        return response

    async def _wait(self, seconds: float) -> None:
        """So long, or until the server closes."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)

    def _check_key(self, request: web.Request) -> None:
        authorization = request.headers.get("authorization", "")
        presented = authorization.removeprefix("Bearer ") or request.headers.get("x-api-key", "")
        if self.key is not None and presented != self.key:
            raise RequestRefused("invalid API key", status=401)

    def _refuse(
        self, status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        return web.Response(
            status=status,
            body=orjson.dumps(self.error(status, message, request_id)),
            headers={
                "content-type": "application/json",
                **(headers if headers is not None else {self.request_id_header: request_id}),
            },
        )

    def _remember(self, request: web.Request, body: Json, conversation: Conversation | None, turn: Turn | None) -> None:
        if len(self.requests) < _MAX_REMEMBERED:
            self.requests.append(
                Received(
                    path=request.path,
                    headers=_lower(request.headers),
                    body=body,
                    conversation=conversation,
                    turn=turn,
                    at=time.monotonic(),
                )
            )


def event(data: Json, name: str = "") -> bytes:
    """One server-sent event; a text goes out as it is, anything else as JSON."""
    raw = data.encode() if isinstance(data, str) else orjson.dumps(data)
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + raw + b"\n\n"


def pieces(text: str, size: int = 48) -> tuple[str, ...]:
    """A text as a model streams it; long ones in larger pieces, so that megabytes stay a few hundred events."""
    step = max(size, len(text) // 200)
    return tuple(text[at : at + step] for at in range(0, len(text), step))


def _json(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise RequestRefused("the body is no JSON") from exc
    if not isinstance(body, dict):
        raise RequestRefused("the body is no JSON object")
    return body


def _streams(conversation: Conversation) -> bool:
    return conversation.body.get("stream") is True


def _kind(conversation: Conversation) -> str:
    return "text/event-stream" if _streams(conversation) else "application/json"


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
