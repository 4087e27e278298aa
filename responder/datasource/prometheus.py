"""Prometheus over HTTP: one query, at one time or over a range, one answer of bounded size.

Answers without a value that can be compared (NaN, infinities, native histograms) give no sample. The token is read for
each query, so that a renewed one counts at once. Redirects are not followed: they would carry the token elsewhere.
Format: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import orjson
from yarl import URL

from responder.datasource.protocol import Point, Sample, Series
from responder.domain.errors import ConfigError, DatasourceUnavailable
from responder.domain.manifest import Json, dig, items, mapping, strings, text
from responder.redact import redact

LONGEST_WORDS = 600  # characters of the server's own words in an error
MAX_POINTS = 1_000
"""Of one series; Prometheus itself refuses more than 11,000."""
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
        self._api = base / "api/v1"
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
        return self._answer(await self._ask("query", form))

    async def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        seconds = step.total_seconds()
        if seconds <= 0 or not 0 <= (end - start).total_seconds() / seconds <= MAX_POINTS:
            raise ValueError(f"{start} to {end} in steps of {step} is no range of at most {MAX_POINTS} points")
        form = {
            "query": query,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{seconds:g}",
        }
        decoded = await self._ask("query_range", form)
        if (kind := text(decoded, "data", "resultType")) != "matrix":
            raise DatasourceUnavailable(f"{self._name} answered with {kind or 'nothing'} where a matrix was asked for")
        return tuple(_series(decoded))

    async def _ask(self, endpoint: str, form: Mapping[str, str]) -> Json:
        headers = await asyncio.to_thread(self._credentials)
        url = self._api / endpoint
        try:
            async with self._session.post(url, data=form, headers=headers, allow_redirects=False) as response:
                sent = response.request_info.headers.get("Authorization", "")
                return self._decoded(response.status, await self._body(response), sent.rpartition(" ")[2])
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

    def _decoded(self, status: int, body: bytes, credential: str) -> Json:
        """Errors come with a status of their own and a body in the same form, unless a proxy stands in between; and
        some proxies quote the `credential` that they refuse."""
        try:
            decoded: Json = orjson.loads(body)
        except orjson.JSONDecodeError:
            decoded = None
        if status != 200 or text(decoded, "status") != "success":
            raise DatasourceUnavailable(f"{self._name}: {status} {_words(decoded, body, credential)}")
        return decoded

    def _answer(self, decoded: Json) -> Answer:
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
        sample = _sample(_labels(series), dig(series, "value"))
        if sample is not None:
            yield sample


def _series(decoded: Json) -> Iterator[Series]:
    for series in items(decoded, "data", "result"):
        pairs = dig(series, "values")
        points = tuple(filter(None, map(_point, pairs))) if isinstance(pairs, list) else ()
        if points:
            yield Series(labels=_labels(series), points=points)


def _labels(series: Json) -> Mapping[str, str]:
    return {key: value for key, value in mapping(series, "metric").items() if isinstance(value, str)}


def _sample(labels: Mapping[str, str], pair: Json) -> Sample | None:
    point = _point(pair)
    return Sample(labels=labels, value=point.value, at=point.at) if point is not None else None


def _point(pair: Json) -> Point | None:
    """From `[seconds, "value"]`; None for what is no finite number."""
    seconds, value = dig(pair, 0), text(pair, 1)
    if not isinstance(seconds, int | float):
        return None
    try:
        number, at = float(value), datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return Point(at=at, value=number) if math.isfinite(number) else None


def _words(decoded: Json, body: bytes, credential: str) -> str:
    said = ": ".join(part for part in (text(decoded, "errorType"), text(decoded, "error")) if part)
    words = said[: 4 * LONGEST_WORDS] or body[: 4 * LONGEST_WORDS].decode("utf-8", "replace").strip()
    words = redact(words.replace(credential, "[redacted]") if credential else words)
    return words if len(words) <= LONGEST_WORDS else words[:LONGEST_WORDS] + "…"
