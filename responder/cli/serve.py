"""`clopus serve`: the responder as a process. Ends within the grace period of a pod when it is told to."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import click

from responder.domain.errors import StoreUnavailable
from responder.settings import load_settings
from responder.telemetry import configure_logging, get_logger

log = get_logger("serve")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), envvar="CLOPUS_CONFIG", help="Settings file (YAML).")
def serve(config: Path | None) -> None:
    """Run the responder until SIGTERM or SIGINT."""
    settings = load_settings(config, os.environ)
    configure_logging(level=settings.log.level, as_json=settings.log.format == "json")
    # Decoding a large list makes objects that live for a moment: at the default, collection takes two thirds of it.
    gc.set_threshold(20_000, 20, 20)
    from responder.app import Responder

    async def run() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        try:
            responder = await Responder.start(settings)
        except (StoreUnavailable, OSError) as exc:
            log.critical("cannot start", problem=str(exc))
            return 2
        click.echo(f"clopus listens on {settings.server.host}:{responder.port}", err=True)
        await stop.wait()
        await responder.stop()
        return 0

    sys.exit(asyncio.run(run()))
