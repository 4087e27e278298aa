"""The backend `claude`: the Messages API of Anthropic, of Bedrock and of Vertex, or of a gateway in their place.

The SDK spells addresses, authenticates and tells errors apart. The words of a request are `claude_request`'s; a reply
is read by `claude_reply` from the raw events, because the SDK's own reading has no bound and gives up on arguments that
are no JSON. Nothing is taken from the environment: neither key nor address nor headers nor proxies nor credentials of
a cloud. The key is read from its file for each request and is part of nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any, Self

import orjson

from responder.analyzer.llm.claude_reply import Reading
from responder.analyzer.llm.claude_request import Manner, body
from responder.analyzer.llm.echo import blocks_without, reply_without
from responder.analyzer.llm.keyfile import KeyFile
from responder.analyzer.llm.sse import data_of
from responder.analyzer.llm.transport import (
    STATUSES,
    current_key,
    drain,
    errors_below,
    http_client,
    refusal_below,
    refusal_of_status,
    retry_after,
    told,
    within,
)
from responder.analyzer.llm.turn import OnBlock, ProviderError, Refusal, Reply, Request, malformed
from responder.domain.errors import AnalyzerUnavailable, ConfigError
from responder.domain.manifest import Json, text
from responder.settings import Claude

if TYPE_CHECKING:
    import anthropic
    import anthropic._base_client as _base

_API_VERSION = "2026-10-21"
"""Of what `claude_request` and `claude_reply` spell; the SDK's own may move on with it."""

_NO_KEY = "none"

_STATUSES = {**STATUSES, 499: Refusal.CUT}
_KINDS = {
    "invalid_request_error": Refusal.REJECTED,
    "not_found_error": Refusal.REJECTED,
    "request_too_large": Refusal.REJECTED,
    "authentication_error": Refusal.UNAUTHORIZED,
    "billing_error": Refusal.UNAUTHORIZED,
    "permission_error": Refusal.UNAUTHORIZED,
    "rate_limit_error": Refusal.RATE_LIMITED,
    "timeout_error": Refusal.TIMED_OUT,
    "overloaded_error": Refusal.OVERLOADED,
}
"""Types of an error that comes in the stream, after the status said 200."""


class ClaudeBackend:
    """One model on one platform. Open with `open`: the SDK takes a second to import."""

    name = "claude"

    def __init__(self, client: _base.AsyncAPIClient, *, manner: Manner, keys: KeyFile | None) -> None:
        self.model = manner.model
        self._client: Any = client  # the three platforms' clients share `messages` and no type
        self._manner = manner
        self._keys = keys

    @classmethod
    async def open(cls, settings: Claude) -> Self:
        """
        Raises:
            ConfigError: a setting that the platform needs is missing.
            AnalyzerUnavailable: the SDK is not installed.
        """
        _check(settings)
        try:
            client = await asyncio.to_thread(_client, settings)
        except ImportError as exc:
            raise AnalyzerUnavailable(f"claude needs the extra `claude` of clopus: {exc}") from exc
        manner = Manner(model=settings.model, thinking=settings.thinking, effort=settings.effort)
        return cls(client, manner=manner, keys=KeyFile(settings.api_key_file) if settings.api_key_file else None)

    async def close(self) -> None:
        await self._client.close()

    async def complete(self, request: Request, *, seconds: float, on_block: OnBlock) -> Reply:
        async with within(seconds):
            return await self._complete(request, on_block)

    async def _complete(self, request: Request, on_block: OnBlock) -> Reply:
        import anthropic

        key, reading, request_id = await current_key(self._keys), Reading(), ""
        try:
            async with self._send(body(request, self._manner), key) as response:
                request_id = response.request_id or ""
                await _read(response.iter_bytes(), reading, key, blocks_without(key, on_block))
        except errors_below(anthropic.AnthropicError) as exc:
            if not reading.ended:
                # Without its cause: that holds the request with its key, and the provider's words as they came.
                raise _translated(exc, key, began=reading.began) from None
        if reading.ended:
            return reply_without(key, reading.reply(request_id))
        if not reading.began:
            raise malformed("no message came")
        raise ProviderError(Refusal.CUT, "the reply broke off")

    def _send(
        self, sent: dict[str, Json], key: str
    ) -> AbstractAsyncContextManager[anthropic.AsyncAPIResponse[anthropic.AsyncStream[Json]]]:
        from anthropic import omit

        sending: AbstractAsyncContextManager[anthropic.AsyncAPIResponse[anthropic.AsyncStream[Json]]] = (
            self._client.messages.with_streaming_response.create(
                **sent,
                extra_headers={
                    "authorization": f"Bearer {key}" if key else omit,
                    "anthropic-version": _API_VERSION,
                    "accept": "text/event-stream",
                    "content-type": "application/json",
                },
            )
        )
        return sending


def _check(settings: Claude) -> None:
    """Raises ConfigError."""
    missing = [
        name
        for name, needed in (
            ("model", True),
            ("api_key_file", not settings.base_url or settings.platform == "vertex"),
            ("region", settings.platform == "vertex" or (settings.platform == "bedrock" and not settings.base_url)),
            ("project", settings.platform == "vertex"),
        )
        if needed and not getattr(settings, name)
    ]
    if missing:
        raise ConfigError(
            path="settings", key=f"claude.{missing[0]}", problem=f"has to be set for the platform {settings.platform}"
        )


def _client(settings: Claude) -> _base.AsyncAPIClient:
    """Runs in a thread: imports for a second and reads the certificates of the system.

    Each client is told everything that it would look for in the environment. Its key is never sent: each request
    brings its own header.
    """
    import anthropic
    import anthropic.resources.messages  # what the first request would import on the loop

    # The SDK lowers its own level when ANTHROPIC_LOG is set, and tells whole requests at DEBUG.
    logging.getLogger("anthropic").setLevel(logging.WARNING)
    http = http_client()
    common: dict[str, Any] = {
        "base_url": settings.base_url or _address(settings),
        "max_retries": 0,
        "timeout": http.timeout,
        "http_client": http,
        "open_telemetry": False,
    }
    match settings.platform:
        case "direct":
            return anthropic.AsyncAnthropic(api_key=_NO_KEY, webhook_key="", **common)
        case "bedrock":
            return anthropic.AsyncAnthropicBedrockMantle(api_key=_NO_KEY, aws_region=settings.region, **common)
        case "vertex":
            return anthropic.AsyncAnthropicVertex(
                access_token=_NO_KEY, region=settings.region, project_id=settings.project, **common
            )


def _address(settings: Claude) -> str:
    """The platform's own. https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"""
    match settings.platform, settings.region:
        case "direct", _:
            return "https://api.anthropic.com"
        case "bedrock", region:
            return f"https://bedrock-mantle.{region}.api.aws/anthropic"
        case _, "global":
            return "https://aiplatform.googleapis.com/v1"
        case _, ("us" | "eu") as region:
            return f"https://aiplatform.{region}.rep.googleapis.com/v1"
        case _, region:
            return f"https://{region}-aiplatform.googleapis.com/v1"


async def _read(pieces: AsyncIterator[bytes], reading: Reading, key: str, on_block: OnBlock) -> None:
    async with aclosing(data_of(pieces)) as events:
        async for data in events:
            for block in reading.add(_event(data, key)):
                await on_block(block)
            if reading.ended:
                await drain(pieces)
                return


def _event(data: bytes, key: str) -> Json:
    """Raises ProviderError for what is no JSON, and for an error in place of an event."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise malformed("an event is no JSON") from exc
    if text(event, "type") == "error":
        kind = text(event, "error", "type")
        problem = told(f"{kind}: {text(event, 'error', 'message')}", key)
        raise ProviderError(_KINDS.get(kind, Refusal.FAILED), problem)
    return event


def refusal_of(exc: Exception, *, began: bool) -> Refusal:
    """Which refusal an error of the SDK, or of the HTTP client under it, is. `began`: after a part of the reply."""
    import anthropic

    match exc:
        case anthropic.APIStatusError():
            return refusal_of_status(exc.status_code, _STATUSES)
        case anthropic.APIResponseValidationError():
            return Refusal.MALFORMED
        case anthropic.APITimeoutError():
            return Refusal.TIMED_OUT
        case anthropic.APIConnectionError():
            return Refusal.CUT if began else Refusal.UNREACHABLE
        case _:
            return refusal_below(exc, began=began)


def _translated(exc: Exception, key: str, *, began: bool) -> ProviderError:
    import anthropic

    refusal = refusal_of(exc, began=began)
    if isinstance(exc, anthropic.APIStatusError):
        said = text(exc.body, "error", "message") or text(exc.body, "message")
        problem = f"{exc.status_code} {text(exc.body, 'error', 'type')}: {said}"
        return ProviderError(refusal, told(problem, key), retry_after=retry_after(exc.response.headers))
    cause = exc.__cause__ or exc
    return ProviderError(refusal, told(f"{type(cause).__name__}: {cause}", key))
