"""`clopus incidents` and `clopus show`: what happened, why, what will change, how to take it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from console.client import Client, path_of
from responder.cli.options import columns, output_option, print_json, server_options
from responder.domain.incident import Incident, State
from responder.domain.views import IncidentDetail, IncidentPage, Reasoning
from responder.domain.visible import visible
from responder.reporter.reasoning import render_reasoning
from responder.reporter.terminal import render_detail

_LEAST_SUMMARY = 40


@click.command()
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only incidents in this state.")
@click.option("--namespace", "-n", help="Only incidents of this namespace.")
@click.option("--rule", help="Only incidents that this rule decided.")
@click.option("--text", "-q", help="Only incidents whose summary or key contains this.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", default="", help="Continue a page that said there is more.")
@output_option
@server_options
def incidents(
    client: Client,
    state: str | None,
    namespace: str | None,
    rule: str | None,
    text: str | None,
    limit: int,
    cursor: str,
    output: str,
) -> None:
    """List incidents, newest first."""
    page = client.get(
        IncidentPage,
        path_of("incidents"),
        state=state,
        namespace=namespace,
        rule=rule,
        q=text,
        limit=limit,
        cursor=cursor,
    )
    if output == "json":
        print_json(page)
        return
    if not page.incidents:
        click.echo("no incidents")
        return
    for line in _table(page.incidents, datetime.now(UTC), columns()):
        click.echo(line)
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}")


def _table(found: Sequence[Incident], now: datetime, width: int) -> Iterator[str]:
    """One line for each, the summary cut to fit; where too little room is left for it, it gets a line of its own."""
    rows = [("ID", "AGE", "STATE", "OUTCOME", "OBJECT"), *(_row(incident, now) for incident in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    room = width - sum(widths) - 2 * len(widths)
    summaries = ["SUMMARY", *(visible(incident.summary).replace("\n", " ") for incident in found)]
    for row, summary in zip(rows, summaries, strict=True):
        cells = "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True))
        if room >= _LEAST_SUMMARY:
            yield f"{cells}  {_cut(summary, room)}".rstrip()
        else:
            yield cells.rstrip()
            yield f"    {_cut(summary, width - 4)}".rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def _row(incident: Incident, now: datetime) -> tuple[str, ...]:
    return (
        incident.id,
        _age((now - incident.opened_at).total_seconds()),
        incident.state.value,
        incident.outcome.value or "-",
        visible(incident.key) + (f" ({incident.workloads})" if incident.members else ""),
    )


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(int(seconds), 0)}s"


@click.command()
@click.argument("incident_id", metavar="ID")
@click.option("--full", is_flag=True, help="Also every check, what was ruled out, and the timeline.")
@click.option("--reasoning", is_flag=True, help="Every step and every piece of evidence instead.")
@output_option
@server_options
def show(client: Client, incident_id: str, full: bool, reasoning: bool, output: str) -> None:
    """Show one incident: what happened, why, what changes, how to take it back."""
    if reasoning:
        chain = client.get(Reasoning, path_of("incidents", incident_id, "reasoning"))
        print_json(chain) if output == "json" else click.echo(render_reasoning(chain, width=columns()))
        return
    detail = client.get(IncidentDetail, path_of("incidents", incident_id))
    print_json(detail) if output == "json" else click.echo(render_detail(detail, width=columns(), full=full))
