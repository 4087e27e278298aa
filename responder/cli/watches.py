"""`clopus watches`: what is watched in the cluster, how well, and what may not be."""

from __future__ import annotations

import sys

import click

from console.remote.client import Client, path_of
from responder.cli.options import output_option, print_json, server_options
from responder.domain.views import WatchPage, WatchView
from responder.domain.visible import visible

_LIVE = "live"


@click.command()
@output_option
@server_options
def watches(client: Client, output: str) -> None:
    """Show the watches. Exits 1 while one of them is not live: trouble there goes unseen."""
    page = client.get(WatchPage, path_of("watches"))
    if output == "json":
        print_json(page)
    elif not page.enabled:
        click.echo("nothing is watched: watch.enabled is false")
    else:
        for line in _table(page.watches):
            click.echo(line)
    sys.exit(0 if all(watch.state == _LIVE or watch.optional for watch in page.watches) else 1)


def _table(found: tuple[WatchView, ...]) -> list[str]:
    troubled_first = sorted(found, key=lambda watch: (watch.state == _LIVE, watch.kind, watch.namespace))
    rows = [("KIND", "NAMESPACE", "STATE", "OBJECTS", "LAST EVENT", "PROBLEM"), *(_row(w) for w in troubled_first)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return ["  ".join((*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[5])).rstrip() for row in rows]


def _row(watch: WatchView) -> tuple[str, ...]:
    age = "-" if watch.last_event_seconds is None else f"{watch.last_event_seconds:.0f}s"
    return (watch.kind, watch.namespace or "(all)", watch.state, str(watch.objects), age, visible(watch.problem))
