"""How a provider is reached, and what its failures mean, as far as all providers are alike.

One HTTP client that takes nothing from the environment and reads no error without bound: the SDKs add headers that
environment variables name, proxies, and a description of the host; what leaves here is named. The SDKs' own errors are
told apart by the backends, what lies below them here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from responder.analyzer.llm.keyfile import KeyFile
from responder.analyzer.llm.turn import ProviderError, Refusal
from responder.domain.errors import ConfigError
from responder.redact import redact

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
_MAX_ERROR_BYTES = 64 * 1024
_DRAIN_SECONDS = 0.1
_MAX_PROBLEM = 300
"""Characters of a provider's words in an error."""
_HEADERS = frozenset(
    {
        "host",
        "accept",
        "connection",
        "content-type",
        "content-length",
        "authorization",
        "anthropic-version",
        "x-stainless-raw-response",  # by which the SDK knows afterwards that its caller reads the answer itself
    }
)

STATUSES: Mapping[int, Refusal] = {
    401: Refusal.UNAUTHORIZED,
    402: Refusal.UNAUTHORIZED,
    403: Refusal.UNAUTHORIZED,
    408: Refusal.TIMED_OUT,
    409: Refusal.FAILED,
    429: Refusal.RATE_LIMITED,
    504: Refusal.TIMED_OUT,
    529: Refusal.OVERLOADED,
}
"""402 is no money on the account of the key: like a wrong key it stays so until somebody acts."""


def http_client() -> httpx2.AsyncClient:
    """Blocking: imports the library and reads the system's certificates."""
    import httpx2

    for name in ("httpx2", "httpcore2"):  # they tell whole requests at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)

    class Bounded(httpx2.AsyncByteStream):
        """The body of an error, which an SDK reads whole."""

        def __init__(self, stream: httpx2.AsyncByteStream) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for piece in self._stream:
                size += len(piece)
                if size > _MAX_ERROR_BYTES:
                    raise ProviderError(Refusal.MALFORMED, f"an error of more than {_MAX_ERROR_BYTES} bytes")
                yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(response: httpx2.Response) -> None:
        # None was asked for. Unpacked, a few bytes are gigabytes before anybody counts them; packed, they are no reply.
        response.headers.pop("content-encoding", None)
        if not response.is_success and isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = Bounded(response.stream)

    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [_strip], "response": [bound]},
    )


async def _strip(request: httpx2.Request) -> None:
    for name in set(request.headers) - _HEADERS:
        del request.headers[name]
    request.headers["accept-encoding"] = "identity"  # a bound on bytes is none on what they unpack to
    request.headers["user-agent"] = "clopus"


async def drain(pieces: AsyncIterator[bytes]) -> None:
    """To the end of the body, which is all but here: only then does the connection serve the next request.

    At that end the client closes what has expired meanwhile, and it shields that from anyio's cancellation only: one of
    asyncio's in its midst would leave the rest open and unknown to anyone.
    """
    import anyio

    with anyio.move_on_after(_DRAIN_SECONDS):
        async for _ in pieces:
            pass


async def current_key(keys: KeyFile | None) -> str:
    """'' where the provider is asked without one. Raises ProviderError where the file holds none."""
    if keys is None:
        return ""
    try:
        return await asyncio.to_thread(keys.current)
    except ConfigError as exc:
        raise ProviderError(Refusal.UNAUTHORIZED, str(exc)) from exc


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises ProviderError where the time is over; the caller's own time limits pass."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise ProviderError(Refusal.TIMED_OUT, f"no whole reply within {seconds:g} s") from exc


def errors_below(sdk: type[Exception] | None = None) -> tuple[type[Exception], ...]:
    """What the HTTP client raises, by itself or through an SDK; with the SDK's own."""
    import anyio
    import httpx2

    below = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, ssl.SSLError, anyio.EndOfStream)
    return below if sdk is None else (sdk, *below)


def refusal_below(exc: Exception, *, began: bool) -> Refusal:
    """Which refusal one of `errors_below` is. `began`: after a part of the reply."""
    import httpx2

    match exc:
        case httpx2.DecodingError() | httpx2.SSEError():
            return Refusal.MALFORMED
        case httpx2.TimeoutException():
            return Refusal.TIMED_OUT
        case (
            httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError() | httpx2.TooManyRedirects() | httpx2.InvalidURL()
        ):
            return Refusal.REJECTED
        case _ if isinstance(exc, errors_below()):
            return Refusal.CUT if began else Refusal.UNREACHABLE
        case _:
            return Refusal.FAILED


def refusal_of_status(status: int, known: Mapping[int, Refusal]) -> Refusal:
    return known.get(status, Refusal.FAILED if status >= 500 else Refusal.REJECTED)


def told(problem: str, key: str) -> str:
    """A provider's words on one line: without the key, redacted, short."""
    words = redact(problem.replace(key, "[key]") if key else problem)
    return " ".join(words.split())[:_MAX_PROBLEM]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date by its own clock.

    However long: whether to wait is the caller's. None for what is neither.
    https://datatracker.ietf.org/doc/html/rfc9110#section-10.2.3
    """
    parsers: tuple[tuple[str, Callable[[str], float]], ...] = (
        ("retry-after-ms", lambda value: float(value) / 1000),
        ("retry-after", float),
        ("retry-after", lambda value: _between(headers.get("date", ""), value)),
    )
    for name, parse in parsers:
        try:
            seconds = parse(headers.get(name, ""))
        except (ValueError, TypeError):
            continue
        if not math.isnan(seconds) and seconds >= 0:
            return seconds
    return None


def _between(earlier: str, later: str) -> float:
    return max(0.0, (parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds())
