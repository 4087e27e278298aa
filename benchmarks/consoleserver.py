"""The API over a store that is filled already, as a process of its own: what consoles are measured against.

    python -m benchmarks.consoleserver DIRECTORY EVENTS_PER_SECOND

Prints its URL. Nothing works on the incidents; with a rate above 0, records about the newest of them are committed one
by one, as a busy responder commits them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

from benchmarks.processes import child, ready, wait_for_parent
from responder.api.auth import Credentials, Role, TokenFile
from responder.api.listener import Listener, ListenerLimits
from responder.api.routes import build_app
from responder.api.services import Services
from responder.pipeline import Pipeline
from responder.settings import Settings
from responder.store import audit, incidents
from responder.store.store import Connection, Store
from responder.telemetry import Metrics, configure_logging

TOKEN = "viewer-token-0123456789"
DATABASE = "clopus.duckdb"


class _NoPipeline:
    """Takes the place of what would work on the incidents."""

    failed = ""

    def alerts_accepted(self) -> None:
        """None come."""


@dataclass(frozen=True, kw_only=True)
class Server:
    pid: int
    url: str


@contextmanager
def server(directory: Path, *, events_per_second: float = 0.0) -> Iterator[Server]:
    """Until the end of the block. The directory holds the store, and afterwards the token as well."""
    (directory / "viewers").write_text(f"vera:{TOKEN}\n", encoding="utf-8")
    (directory / "token").write_text(TOKEN, encoding="utf-8")
    with child("benchmarks.consoleserver", str(directory), str(events_per_second)) as process:
        yield Server(pid=process.pid, url=process.said)


async def _commit(store: Store, per_second: float) -> None:
    """At an even pace, whatever a commit takes."""
    newest = [incident.id for incident in (await store.read(lambda con: incidents.page(con, limit=50)))[0]]
    started, number = time.monotonic(), 0
    while True:
        await store.write(partial(_record, incident_id=newest[number % len(newest)], number=number))
        number += 1
        await asyncio.sleep(max(started + number / per_second - time.monotonic(), 0.0))


def _record(con: Connection, *, incident_id: str, number: int) -> None:
    audit.append(
        con,
        at=datetime.now(UTC),
        actor="clopus",
        event="investigated",
        incident_id=incident_id,
        subject="Deployment/shop/checkout-17",
        detail={"state": "investigating", "outcome": "", "number": number, "analyzer": "heuristic", "findings": 2},
    )


async def _serve(directory: Path, events_per_second: float) -> None:
    settings = Settings().server
    with Store.open(directory / DATABASE) as store:
        services = Services(
            store=store,
            pipeline=cast(Pipeline, _NoPipeline()),
            metrics=Metrics(),
            credentials=Credentials([TokenFile(path=directory / "viewers", role=Role.VIEWER)]),
            now=lambda: datetime.now(UTC),
            not_ready=tuple,
        )
        limits = ListenerLimits(
            header_timeout_seconds=settings.header_timeout_seconds, max_connections=settings.max_connections
        )
        listener = Listener(build_app(services), limits=limits)
        await listener.open("127.0.0.1", 0)
        writing = asyncio.create_task(_commit(store, events_per_second)) if events_per_second else None
        ready(f"http://127.0.0.1:{listener.port}")
        await asyncio.to_thread(wait_for_parent)
        if writing is not None:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
        await listener.close()


if __name__ == "__main__":
    configure_logging(level="error")
    asyncio.run(_serve(Path(sys.argv[1]), float(sys.argv[2])))
