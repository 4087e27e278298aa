"""The webhook route: read one body within its limits, parse it, commit it, then answer.

A 2xx is sent only after every alert of the body is committed or known as a duplicate. Whatever may work later is
answered 503, because Alertmanager sends again after a 5xx only
(https://github.com/prometheus/alertmanager/blob/main/notify/util.go); a body that can never succeed gets 400 or 413.
Credentials are checked before this handler runs; errors become answers in `api.problems`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from aiohttp import hdrs, web

from responder import wire
from responder.detector.alertmanager import WebhookInvalid, parse_webhook
from responder.domain.alert import Delivery
from responder.domain.errors import PermanentError, QueueFull, StoreUnavailable, TemporaryError
from responder.domain.views import Ingested
from responder.store.store import Store
from responder.telemetry import Metrics, get_logger

log = get_logger("webhook")

_PARSE_INLINE_BYTES = 256 * 1024
"""Larger bodies are parsed on another thread: ten thousand alerts take longer than the event loop may stand still."""


class NotAccepting(TemporaryError):
    """Starting, standby or stopping."""


class BodyLate(TemporaryError):
    """The body did not arrive in time; the connection is closed."""


class BodyTooLarge(PermanentError):
    """The body is over the limit, and will be at every try."""


@dataclass(frozen=True, kw_only=True)
class WebhookLimits:
    max_bytes: int = 32 * 1024 * 1024
    """Of one body, after decompression."""
    max_pending: int = 256
    """Bodies being read or committed at one time."""
    max_pending_bytes: int = 128 * 1024 * 1024
    """Of all of these together."""
    body_timeout_seconds: float = 30.0


class _Gate:
    """Bounds what is in memory at one time, by count and by bytes."""

    def __init__(self, limits: WebhookLimits) -> None:
        self._limits = limits
        self._count = 0
        self._bytes = 0

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Raises QueueFull."""
        over = self._bytes + size > self._limits.max_pending_bytes and self._count > 0
        if over or self._count >= self._limits.max_pending:
            raise QueueFull(
                f"{self._count} webhook bodies of {self._bytes} bytes are being taken in", delay_seconds=1.0
            )
        self._count += 1
        self._bytes += size
        try:
            yield
        finally:
            self._count -= 1
            self._bytes -= size


class _Counter:
    """The children of the alert counter, looked up once."""

    def __init__(self, metrics: Metrics) -> None:
        self._accepted = metrics.alerts.labels(result="accepted")
        self._duplicate = metrics.alerts.labels(result="duplicate")
        self._quarantined = metrics.alerts.labels(result="quarantined")

    def __call__(self, ingested: Ingested) -> None:
        self._accepted.inc(ingested.accepted)
        self._duplicate.inc(ingested.duplicates)
        self._quarantined.inc(ingested.quarantined)


def webhook_handler(
    *,
    store: Store,
    now: Callable[[], datetime],
    accepting: Callable[[], bool],
    on_accepted: Callable[[], None],
    on_too_large: Callable[[int], None],
    metrics: Metrics,
    limits: WebhookLimits,
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of `POST /webhook/alertmanager`.

    `on_accepted` is called after a commit that brought new alerts, and after one that failed: it may have been kept
    all the same, and then every repetition is a duplicate. `on_too_large` gets the announced size of a refused body, or
    the limit where none was announced.
    """
    gate = _Gate(limits)
    count = _Counter(metrics)

    async def take(request: web.Request) -> Ingested:
        if not accepting():
            raise NotAccepting("no alerts are taken now", delay_seconds=5.0)
        announced = request.content_length
        if announced is not None and announced > limits.max_bytes:
            raise BodyTooLarge(_too_large(limits))
        compressed = hdrs.CONTENT_ENCODING in request.headers
        with gate.admit(limits.max_bytes if announced is None or compressed else announced):
            body = await _read(request, limits)
            received_at = now()
            delivery = await _parse(body, received_at)
            for warning in delivery.warnings:
                log.warning("webhook body is unusual", problem=warning, receiver=delivery.receiver)
            return await _commit(store, delivery, received_at)

    async def handle(request: web.Request) -> web.Response:
        try:
            ingested = await take(request)
        except (TemporaryError, WebhookInvalid, BodyTooLarge) as exc:
            metrics.webhook_refused.labels(reason=_reason(exc)).inc()
            if isinstance(exc, BodyTooLarge):
                on_too_large(request.content_length or limits.max_bytes)
            if isinstance(exc, StoreUnavailable):
                on_accepted()
            raise
        count(ingested)
        if ingested.accepted:
            on_accepted()
        return web.Response(body=wire.dumps(ingested), content_type="application/json")

    return handle


async def _read(request: web.Request, limits: WebhookLimits) -> bytes:
    try:
        if request.content.is_eof():  # all of it is here, as is usual: no clock needs to run
            return await _gather(request, limits)
        async with asyncio.timeout(limits.body_timeout_seconds):
            return await _gather(request, limits)
    except TimeoutError as exc:
        raise BodyLate(f"the body did not arrive within {limits.body_timeout_seconds:g} s", delay_seconds=1.0) from exc
    except web.RequestPayloadError as exc:
        raise WebhookInvalid("the body is cut off or its encoding is broken") from exc


async def _gather(request: web.Request, limits: WebhookLimits) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > limits.max_bytes:
            raise BodyTooLarge(_too_large(limits))
    return bytes(body)


async def _parse(body: bytes, received_at: datetime) -> Delivery:
    if len(body) <= _PARSE_INLINE_BYTES:
        return parse_webhook(body, received_at=received_at)
    return await asyncio.to_thread(parse_webhook, body, received_at=received_at)


async def _commit(store: Store, delivery: Delivery, received_at: datetime) -> Ingested:
    if not delivery.alerts and not delivery.quarantined:
        return Ingested(accepted=0, duplicates=0, quarantined=0, warnings=delivery.warnings)
    result = await store.ingest(delivery, received_at)
    return Ingested(
        accepted=result.accepted,
        duplicates=result.duplicates,
        quarantined=result.quarantined,
        warnings=delivery.warnings,
    )


def _reason(exc: TemporaryError | WebhookInvalid | BodyTooLarge) -> str:
    match exc:
        case BodyTooLarge():
            return "too_large"
        case WebhookInvalid():
            return "invalid"
        case StoreUnavailable():
            return "store"
        case _:
            return "overloaded"


def _too_large(limits: WebhookLimits) -> str:
    return f"the body is over {limits.max_bytes} bytes: set max_alerts in the Alertmanager route, or raise the limit"
