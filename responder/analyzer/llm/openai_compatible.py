"""The backend `openai_compatible`: Chat Completions with tools, as vLLM, Ollama, llama.cpp and gateways serve them.

The SDK connects, authenticates and tells errors apart. The words of a request are `chat_request`'s; how a reply is read
is `sse`'s and `chat_reply`'s, so that its size stays bounded. Nothing is taken from the environment: neither key nor
address nor headers nor proxies. What a server does not support (a forced tool, the older name of a limit) is found out
once and remembered.

Reference: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from responder.analyzer.llm.chat_reply import Completion
from responder.analyzer.llm.chat_request import Spelling, body
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
from responder.analyzer.llm.turn import (
    OnBlock,
    ProviderError,
    Refusal,
    Reply,
    Request,
    malformed,
)
from responder.domain.errors import AnalyzerUnavailable
from responder.domain.manifest import Json, dig, text

if TYPE_CHECKING:
    import httpx2
    import openai

_MAX_WHOLE_BYTES = 2 * 1024 * 1024
"""Of a reply that comes as one body."""

_STATUSES = {**STATUSES, 503: Refusal.OVERLOADED}

_QUOTA = "insufficient_quota"
"""No money, said with a 429 that no waiting mends."""

_CODES = {
    "rate_limit_exceeded": Refusal.RATE_LIMITED,
    _QUOTA: Refusal.UNAUTHORIZED,
    "context_length_exceeded": Refusal.REJECTED,
    "invalid_request_error": Refusal.REJECTED,
    "BadRequestError": Refusal.REJECTED,
}
"""Words of `code` or `type` in an error that comes within a stream, where there is no status."""


class OpenAiCompatibleBackend:
    """One server and one model. Open with `open`: the SDK takes half a second to import."""

    name = "openai_compatible"

    def __init__(self, client: openai.AsyncOpenAI, *, model: str, keys: KeyFile | None) -> None:
        self.model = model
        self._client = client
        self._keys = keys
        self._spelling = Spelling()

    @classmethod
    async def open(cls, *, model: str, base_url: str, keys: KeyFile | None = None) -> Self:
        """`base_url` with its `/v1`. Without `keys` no Authorization header is sent: a server that asks for none may
        still refuse a wrong one.

        Raises:
            AnalyzerUnavailable: the SDK is not installed.
        """
        try:
            client = await asyncio.to_thread(_client, base_url)
        except ImportError as exc:
            raise AnalyzerUnavailable(f"openai_compatible needs the extra `openai` of clopus: {exc}") from exc
        return cls(client, model=model, keys=keys)

    async def close(self) -> None:
        await self._client.close()

    async def complete(self, request: Request, *, seconds: float, on_block: OnBlock) -> Reply:
        completion = Completion()
        async with within(seconds):
            return await self._complete(request, completion, on_block)

    async def _complete(self, request: Request, completion: Completion, on_block: OnBlock) -> Reply:
        """Sends the request, in other words where the server says that it does not know these."""
        key = await current_key(self._keys)
        spelling = self._spelling
        while True:
            try:
                reply = await self._attempt(body(request, spelling), key, completion, on_block)
            except _Disliked as disliked:
                other = spelling.other(disliked.error.problem, forced=bool(request.must_call))
                if other is None:
                    raise disliked.error from None
                spelling = other
            else:
                self._spelling = spelling
                return reply

    async def _attempt(self, sent: dict[str, Json], key: str, completion: Completion, on_block: OnBlock) -> Reply:
        import openai

        request_id, on_block = "", blocks_without(key, on_block)
        try:
            async with await self._send(sent, key) as stream:
                request_id = stream.response.headers.get("x-request-id", "")
                async with aclosing(_chunks(stream.response, key)) as chunks:
                    async for chunk in chunks:
                        for block in completion.add(chunk):
                            await on_block(block)
        except errors_below(openai.APIError) as exc:
            if not completion.finish_reason:
                # Without its cause: that holds the request with its key, and the provider's words as they came.
                raise _translated(exc, key, began=completion.began) from None
            # The connection broke after the reply was whole: all that may be missing is its count of tokens.
        if not completion.began:
            raise ProviderError(Refusal.UNREACHABLE, "an answer without a reply in it")
        if not completion.finish_reason:
            raise ProviderError(Refusal.CUT, "the reply broke off")
        for block in completion.finish():
            await on_block(block)
        return reply_without(key, completion.reply(request_id))

    async def _send(self, sent: dict[str, Json], key: str) -> openai.AsyncStream[openai.types.chat.ChatCompletionChunk]:
        from openai import omit

        return await self._client.chat.completions.create(
            model=self.model,
            messages=sent["messages"],
            stream=True,
            extra_headers={"Authorization": f"Bearer {key}" if key else omit},
            extra_body=sent,
        )


class _Disliked(Exception):
    """400 or 422: the server may take the same request in other words."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(str(error))
        self.error = error


def _client(base_url: str) -> openai.AsyncOpenAI:
    """Runs in a thread: imports for half a second and reads the certificates of the system."""
    import openai
    import openai.resources.chat.completions  # what the first request would import on the loop

    # The SDK raises its own level when OPENAI_LOG is set, and tells whole requests at DEBUG.
    logging.getLogger("openai").setLevel(logging.WARNING)
    http = http_client()
    return openai.AsyncOpenAI(
        api_key="none",  # never sent: each request brings its own header, or none
        admin_api_key="",
        organization="",
        project="",
        webhook_secret="",
        base_url=base_url,
        max_retries=0,
        timeout=http.timeout,
        http_client=http,
    )


async def _chunks(response: httpx2.Response, key: str) -> AsyncGenerator[Json, None]:
    """Raises ProviderError for what is no JSON, for an error in place of a chunk, and above the bounds."""
    if response.headers.get("content-type", "").startswith("application/json"):
        yield _chunk(await _whole(response), key)
        return
    pieces = response.aiter_bytes()
    async with aclosing(data_of(pieces)) as events:
        async for data in events:
            if data.strip() == b"[DONE]":
                await drain(pieces)
                return
            yield _chunk(data, key)


async def _whole(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MAX_WHOLE_BYTES:
            raise malformed(f"a body of more than {_MAX_WHOLE_BYTES} bytes")
    return bytes(body)


def _chunk(data: bytes, key: str) -> Json:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise malformed("a chunk is no JSON") from exc
    if isinstance(chunk, dict) and (chunk.get("error") or chunk.get("object") == "error"):
        error = chunk.get("error") or chunk
        raise ProviderError(_of_words(error), told(_message(error) or "an error in the stream", key))
    return chunk


def refusal_of(exc: Exception, *, began: bool) -> Refusal:
    """Which refusal an error of the SDK, or of the HTTP client under it, is. `began`: after a part of the reply."""
    import openai

    match exc:
        case openai.APIStatusError():
            return Refusal.UNAUTHORIZED if _of_quota(exc.body) else refusal_of_status(exc.status_code, _STATUSES)
        case openai.APIResponseValidationError():
            return Refusal.MALFORMED
        case openai.APITimeoutError():
            return Refusal.TIMED_OUT
        case openai.APIConnectionError():
            return Refusal.CUT if began else Refusal.UNREACHABLE
        case _:
            return refusal_below(exc, began=began)


def _of_quota(error: Json) -> bool:
    return _QUOTA in (dig(error, "code"), dig(error, "type"))


def _of_words(error: Json) -> Refusal:
    """What an error's own `code` or `type` says; servers put a status, a word, or nothing there."""
    for value in (dig(error, "code"), dig(error, "type")):
        if isinstance(value, int) and 400 <= value < 600:
            return refusal_of_status(value, _STATUSES)
        if isinstance(value, str) and value in _CODES:
            return _CODES[value]
    return Refusal.FAILED


def _translated(exc: Exception, key: str, *, began: bool) -> ProviderError | _Disliked:
    import openai

    refusal = refusal_of(exc, began=began)
    if not isinstance(exc, openai.APIStatusError):
        cause = exc.__cause__ or exc
        return ProviderError(refusal, told(f"{type(cause).__name__}: {cause}", key))
    problem = told(f"{exc.status_code}: {_message(exc.body) or exc.message}", key)
    error = ProviderError(refusal, problem, retry_after=retry_after(exc.response.headers))
    return _Disliked(error) if exc.status_code in (400, 422) else error


def _message(error: Json) -> str:
    return text(error, "message") or (error if isinstance(error, str) else "")
