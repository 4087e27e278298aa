"""`clopus status`: how the responder itself is, and whether somebody should look."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from console.remote.client import Client, path_of
from responder.cli.options import output_option, print_json, server_options
from responder.domain.health import brakes, scope_told, silent_watches, troubles
from responder.domain.views import BudgetStatus, Status, StoreStatus
from responder.domain.visible import visible

_LABEL = 13


@click.command()
@output_option
@server_options
def status(client: Client, output: str) -> None:
    """Show queues, store, brakes, budgets and watches. Exits 1 where something is wrong."""
    found = client.get(Status, path_of("status"))
    wrong = troubles(found)
    if output == "json":
        print_json(found)
    else:
        for label, text in _rows(found, wrong):
            click.echo(f"{label:<{_LABEL}}{visible(text)}".rstrip())
    sys.exit(1 if wrong else 0)


def _rows(found: Status, wrong: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for number, trouble in enumerate(wrong or ("nothing known",)):
        yield "" if number else "wrong", trouble
    yield "version", f"{found.version}, since {found.started_at:%Y-%m-%d %H:%M:%SZ}"
    yield "leader", found.leader
    yield "incidents", ", ".join(f"{count} {state}" for state, count in found.states.items() if count) or _none(found)
    yield "queue", f"{found.queued} waiting, {found.working} of {found.workers} workers busy, {found.timed} timed"
    yield "alerts", f"{_known(found.pending_alerts)} pending, {_known(found.quarantined_alerts)} quarantined"
    yield "store", _store(found.store)
    yield "brakes", brakes(found.mode, found.mode_limit) or "none: rules act as they say"
    for scope, why in sorted(found.mode.breakers.items()):
        yield "breaker", f"{scope_told(scope)}: {why}"
    for backend in found.backends:
        refused = f", refused last: {backend.problem}" if backend.problem else ""
        yield "model", f"{backend.name} {backend.model}: breaker {backend.breaker}{refused}"
    for budget in found.budgets:
        yield "budget", _budget(budget)
    yield "watches", _watches(found)
    yield "streams", f"{found.streams} open"


def _none(found: Status) -> str:
    return "not known" if "states" in found.unknown else "none"


def _known(count: int | None) -> str:
    return "an unknown number" if count is None else str(count)


def _store(store: StoreStatus) -> str:
    if not store.path:
        size = "in memory"
    elif store.bytes is None:
        size = f"{store.path}, size not known"
    else:
        size = f"{store.path}, {store.bytes / 2**20:.1f} MiB"
    return f"{size}, {store.commits} commits, {store.waiting} waiting"


def _budget(budget: BudgetStatus) -> str:
    return f"{budget.name}: {budget.used:,.10g} of {budget.limit:,.10g} {budget.unit}"


def _watches(found: Status) -> str:
    if not found.watches.enabled:
        return "nothing is watched: watch.enabled is false"
    silent = len(silent_watches(found))
    return f"{len(found.watches.watches)}, {silent} not live" + (": see clopus watches" if silent else "")
