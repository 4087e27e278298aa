"""`clopus incidents` and `clopus show`: what happened, why, what will change, how to take it back."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from console.client import Client, path_of
from responder.cli.options import output_option, print_json, server_options
from responder.domain.incident import Incident, State
from responder.domain.views import IncidentDetail, IncidentPage, Reasoning
from responder.domain.visible import visible
from responder.reporter.terminal import render_detail, render_reasoning


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
    now = datetime.now(UTC)
    rows = [("ID", "AGE", "STATE", "OUTCOME", "MODE", "OBJECT", "SUMMARY"), *(_row(i, now) for i in page.incidents)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row[:6], widths, strict=True))
        click.echo(f"{cells}  {row[6]}".rstrip())
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}")


def _row(incident: Incident, now: datetime) -> tuple[str, ...]:
    return (
        incident.id,
        _age((now - incident.opened_at).total_seconds()),
        incident.state.value,
        incident.outcome.value or "-",
        incident.mode or "-",
        visible(incident.key),
        visible(incident.summary)[:120],
    )


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(int(seconds), 0)}s"


@click.command()
@click.argument("incident_id", metavar="ID")
@click.option("--reasoning", is_flag=True, help="Every step and every piece of evidence instead.")
@output_option
@server_options
def show(client: Client, incident_id: str, reasoning: bool, output: str) -> None:
    """Show one incident."""
    if reasoning:
        chain = client.get(Reasoning, path_of("incidents", incident_id, "reasoning"))
        print_json(chain) if output == "json" else click.echo(render_reasoning(chain))
        return
    detail = client.get(IncidentDetail, path_of("incidents", incident_id))
    print_json(detail) if output == "json" else click.echo(render_detail(detail))
