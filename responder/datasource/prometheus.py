"""Prometheus over HTTP: one instant query, one answer of bounded size.

Answers without a value that can be compared (NaN, infinities, native histograms) give no sample. The token is read for
each query, so that a renewed one counts at once. Redirects are not followed: they would carry the token elsewhere.
Format: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import orjson
from yarl import URL

from responder.datasource.protocol import Sample
from responder.domain.errors import ConfigError, DatasourceUnavailable
from responder.domain.manifest import Json, dig, items, mapping, strings, text
from responder.redact import redact

LONGEST_WORDS = 600  # characters of the server's own words in an error
_CHUNK = 65_536  # bytes


@dataclass(frozen=True, kw_only=True)
class Limits:
    request: float = 10.0
    """Seconds, from the first byte sent to the last byte read."""
    answer: int = 4 * 1024 * 1024
    """Bytes, after decompression."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    """What the server doubts about its own answer: a store behind it that did not answer, for one."""


class Prometheus:
    """Owns one HTTP session; made on the event loop, `close` it.

    Raises:
        ConfigError: `url` is none.
    """

    def __init__(self, url: str, *, token_file: Path | None = None, limits: Limits | None = None) -> None:
        base = _base(url, with_token=token_file is not None)
        self._query = base / "api/v1/query"
        self._name = f"Prometheus at {base.with_user(None)}"  # a password in the link is nobody's business
        self._token_file = token_file
        self._limits = limits or Limits()
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._limits.request), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def close(self) -> None:
        await self._session.close()

    async def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        """As `Datasource.instant`; who needs the warnings calls `ask`."""
        return (await self.ask(query, at)).samples

    async def ask(self, query: str, at: datetime | None = None) -> Answer:
        """The samples, and what the server doubts about them.

        Raises:
            DatasourceUnavailable: no whole answer within the limits, or none that holds samples.
        """
        form = {"query": query, **({"time": f"{at.timestamp():.3f}"} if at is not None else {})}
        headers = await asyncio.to_thread(self._credentials)
        try:
            async with self._session.post(self._query, data=form, headers=headers, allow_redirects=False) as response:
                sent = response.request_info.headers.get("Authorization", "")
                return self._answer(response.status, await self._body(response), sent.rpartition(" ")[2])
        except TimeoutError as exc:
            raise DatasourceUnavailable(f"{self._name} did not answer within {self._limits.request:g} s") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise DatasourceUnavailable(f"{self._name}: {type(exc).__name__}: {exc}") from exc

    def _credentials(self) -> Mapping[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise DatasourceUnavailable(f"{self._name}: {self._token_file} holds no token: {exc}") from exc
        if not token or not token.isprintable() or " " in token:
            raise DatasourceUnavailable(f"{self._name}: {self._token_file} holds no token")
        return {"Authorization": f"Bearer {token}"}

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._limits.answer:
                raise DatasourceUnavailable(f"{self._name} answered with more than {self._limits.answer} bytes")
        return bytes(body)

    def _answer(self, status: int, body: bytes, credential: str) -> Answer:
        """Errors come with a status of their own and a body in the same form, unless a proxy stands in between; and
        some proxies quote the `credential` that they refuse."""
        try:
            decoded: Json = orjson.loads(body)
        except orjson.JSONDecodeError:
            decoded = None
        if status != 200 or text(decoded, "status") != "success":
            raise DatasourceUnavailable(f"{self._name}: {status} {_words(decoded, body, credential)}")
        match kind := text(decoded, "data", "resultType"):
            case "vector":
                found = tuple(_samples(decoded))
            case "scalar":
                value = _sample({}, dig(decoded, "data", "result"))
                found = (value,) if value is not None else ()
            case _:
                raise DatasourceUnavailable(
                    f"{self._name} answered with {kind or 'nothing'} where a vector was asked for"
                )
        return Answer(samples=found, warnings=(*strings(decoded, "warnings"), *strings(decoded, "infos")))


def _base(url: str, *, with_token: bool) -> URL:
    try:
        base = URL(url)
    except ValueError as exc:
        raise ConfigError(path="settings", key="prometheus.url", problem=f"no usable URL: {exc}") from exc
    if base.scheme not in ("http", "https"):
        raise ConfigError(path="settings", key="prometheus.url", problem="neither http:// nor https://")
    # A request carries one credential.
    return base.with_user(None) if with_token else base


def _samples(decoded: Json) -> Iterator[Sample]:
    for series in items(decoded, "data", "result"):
        labels = {key: value for key, value in mapping(series, "metric").items() if isinstance(value, str)}
        sample = _sample(labels, dig(series, "value"))
        if sample is not None:
            yield sample


def _sample(labels: Mapping[str, str], pair: Json) -> Sample | None:
    """From `[seconds, "value"]`; None for what is no finite number."""
    seconds, value = dig(pair, 0), text(pair, 1)
    if not isinstance(seconds, int | float):
        return None
    try:
        number, at = float(value), datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return Sample(labels=labels, value=number, at=at) if math.isfinite(number) else None


def _words(decoded: Json, body: bytes, credential: str) -> str:
    said = ": ".join(part for part in (text(decoded, "errorType"), text(decoded, "error")) if part)
    words = said[: 4 * LONGEST_WORDS] or body[: 4 * LONGEST_WORDS].decode("utf-8", "replace").strip()
    words = redact(words.replace(credential, "[redacted]") if credential else words)
    return words if len(words) <= LONGEST_WORDS else words[:LONGEST_WORDS] + "…"
