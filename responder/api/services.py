"""What the handlers work with, built once by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from aiohttp import web

from responder.domain.errors import NotFound
from responder.domain.views import Status, WatchPage
from responder.telemetry import Metrics

if TYPE_CHECKING:
    from responder.api.auth import Credentials
    from responder.pipeline import Pipeline
    from responder.query.runner import Queries
    from responder.store.store import Store


def _alive() -> str:
    """Stands in where nothing can die but the process."""
    return ""


def _ignore_too_large(size: int) -> None:
    """Stands in where nobody wants to know."""


def _no_watches() -> WatchPage:
    return WatchPage(enabled=False)


async def _no_status() -> Status:
    """Stands in where only a part of the responder runs."""
    raise NotFound("this server does not tell how the responder is")


@dataclass(frozen=True, kw_only=True)
class Services:
    store: Store
    pipeline: Pipeline
    metrics: Metrics
    credentials: Credentials
    now: Callable[[], datetime]
    not_ready: Callable[[], tuple[str, ...]]
    """Why no alert can be taken now: starting, standby, stopping, store failed; empty when all is well."""
    dead: Callable[[], str] = _alive
    """What has ended that must not, and only a restart brings back; '' while all is well."""
    on_too_large: Callable[[int], None] = _ignore_too_large
    """Told the size of a webhook body that was refused: it will never heal by itself."""
    watches: Callable[[], WatchPage] = _no_watches
    """What is watched in the cluster, and how well."""
    status: Callable[[], Awaitable[Status]] = _no_status
    """How the responder itself is; without the streams, which the API counts."""
    queries: Queries | None = None
    """Answers operators' SQL; None: none is answered."""
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    """Host names that requests may be for, beside loopback and addresses; empty: every name."""
    webhook_max_bytes: int = 32 * 1024 * 1024
    webhook_max_pending: int = 256
    """Webhook bodies being read or committed at one time; more are asked to come again."""
    webhook_max_pending_bytes: int = 128 * 1024 * 1024
    body_timeout_seconds: float = 30.0
    version: str = ""


SERVICES = web.AppKey("services", Services)
