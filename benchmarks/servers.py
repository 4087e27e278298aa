"""The two servers that `ingest` compares, each a process of its own that prints its port and ends with its parent.

    python -m benchmarks.servers bare
    python -m benchmarks.servers durable DIRECTORY TOKEN

`bare` reads the body and answers. `durable` is the shipped route with everything in front of and behind it: listener,
middlewares, credential, parser, and the store on a file. What comes after the 2xx, the folding into incidents, is left
out: it is the same work whenever it is done, and it is done later.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from aiohttp import web

from benchmarks.processes import ready, wait_for_parent
from responder.api.auth import Credentials, Role, TokenFile
from responder.api.listener import Listener, ListenerLimits
from responder.api.routes import WEBHOOK_PATH, build_app
from responder.api.services import Services
from responder.pipeline import Pipeline
from responder.settings import Settings
from responder.store.store import Store
from responder.telemetry import Metrics, configure_logging


class _NoPipeline:
    """Takes the place of what would fold the alerts into incidents."""

    failed = ""

    def alerts_accepted(self) -> None:
        """Leave them pending."""


def durable_app(directory: Path, token: str) -> tuple[web.Application, Store]:
    settings = Settings()
    token_file = directory / "webhook-token"
    token_file.write_text(f"alertmanager:{token}\n")
    store = Store.open(directory / "clopus.duckdb", memory_limit=settings.store.memory_limit)
    services = Services(
        store=store,
        pipeline=cast(Pipeline, _NoPipeline()),
        metrics=Metrics(),
        credentials=Credentials([TokenFile(path=token_file, role=Role.WEBHOOK)]),
        now=lambda: datetime.now(UTC),
        not_ready=tuple,
        webhook_max_bytes=settings.server.max_body_bytes,
        webhook_max_pending_bytes=settings.intake.max_pending_bytes,
        body_timeout_seconds=settings.server.body_timeout_seconds,
    )
    return build_app(services), store


def bare_app() -> web.Application:
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_post(WEBHOOK_PATH, handle)
    return app


async def serve(app: web.Application) -> None:
    settings = Settings().server
    limits = ListenerLimits(
        header_timeout_seconds=settings.header_timeout_seconds, max_connections=settings.max_connections
    )
    listener = Listener(app, limits=limits)
    await listener.open("127.0.0.1", 0)
    ready(str(listener.port))
    await asyncio.to_thread(wait_for_parent)
    await listener.close()


def main() -> None:
    configure_logging(level="warning")
    match sys.argv[1:]:
        case ["bare"]:
            asyncio.run(serve(bare_app()))
        case ["durable", directory, token]:
            app, store = durable_app(Path(directory), token)
            with store:
                asyncio.run(serve(app))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
