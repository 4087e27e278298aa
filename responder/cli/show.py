"""`clopus incidents` and `clopus show`: what happened, why, what will change, how to take it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from console.remote.client import Client, path_of
from responder.cli.options import columns, output_option, print_json, server_options
from responder.domain.incident import Incident, State
from responder.domain.search import SortBy
from responder.domain.views import IncidentDetail, IncidentPage, Reasoning
from responder.domain.visible import visible
from responder.reporter.reasoning import render_reasoning
from responder.reporter.terminal import render_detail

_LEAST_SUMMARY = 40
_SORTS = tuple(f"{sign}{by}" for by in SortBy for sign in ("", "-"))


@click.command()
@click.option("--state", multiple=True, type=click.Choice([state.value for state in State]), help="Only this state.")
@click.option("--namespace", "-n", metavar="PATTERN", multiple=True, help="Only these namespaces: shop, shop-*.")
@click.option("--rule", metavar="PATTERN", multiple=True, help="Only incidents that these rules decided.")
@click.option("--severity", metavar="PATTERN", multiple=True, help="Only these severities: critical, crit*.")
@click.option("--mode", metavar="PATTERN", multiple=True, help="Only these modes: report, dry-run, autonomous.")
@click.option("--kind", metavar="PATTERN", multiple=True, help="Only root objects of these kinds: Deployment, *Set.")
@click.option("--text", "-q", help="Only incidents whose id, key, summary or labels contain this.")
@click.option("--younger-than", metavar="TIME", help="Only those opened less than this ago: 90s, 15m, 2h, 7d.")
@click.option("--older-than", metavar="TIME", help="Only those opened more than this ago.")
@click.option(
    "--sort", metavar="COLUMN", type=click.Choice(_SORTS), help=f"One of {', '.join(SortBy)}; -COLUMN turns it."
)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0, 999_999_999), default=0, help="Leave out so many that come first.")
@click.option("--cursor", default="", help="Continue a page that said there is more, newest first.")
@output_option
@server_options
def incidents(client: Client, output: str, offset: int, text: str | None, **asked: Any) -> None:
    """List incidents, newest first. Options that take a PATTERN may be given several times or several values with
    commas; * stands for any characters, ? for one."""
    query = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in asked.items()}
    page = client.get(IncidentPage, path_of("incidents"), q=text, offset=offset or None, **query)
    if output == "json":
        print_json(page)
        return
    if not page.total:
        click.echo("no incidents")
        return
    for line in _table(page.incidents, datetime.now(UTC), columns()) if page.incidents else ():
        click.echo(line)
    click.echo(_told(page))


def _told(page: IncidentPage) -> str:
    """How many these are of how many, and how to see the next ones."""
    seen = page.offset + len(page.incidents)
    told = f"{len(page.incidents)} of {page.total}"
    if seen >= page.total:
        return told
    return f"{told}; more: --cursor {page.next_cursor}" if page.next_cursor else f"{told}; more: --offset {seen}"


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
@click.option(
    "--output",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Form of the answer; markdown is the whole report, for a file or a ticket.",
)
@server_options
def show(client: Client, incident_id: str, full: bool, reasoning: bool, output: str) -> None:
    """Show one incident: what happened, why, what changes, how to take it back."""
    if output == "markdown":
        if full or reasoning:
            raise click.UsageError("--output markdown is the whole report: it takes neither --full nor --reasoning")
        click.echo(client.raw(path_of("incidents", incident_id, "report")), nl=False)
        return
    if reasoning:
        chain = client.get(Reasoning, path_of("incidents", incident_id, "reasoning"))
        print_json(chain) if output == "json" else click.echo(render_reasoning(chain, width=columns()))
        return
    detail = client.get(IncidentDetail, path_of("incidents", incident_id))
    print_json(detail) if output == "json" else click.echo(render_detail(detail, width=columns(), full=full))
