"""`clopus changes`: what others changed, and who did."""

from __future__ import annotations

from collections.abc import Iterator

import click

from console.remote.client import Client, path_of
from responder.cli.options import columns, output_option, print_json, server_options
from responder.domain.versions import ObjectVersion, difference_told, headline
from responder.domain.views import ChangePage
from responder.domain.visible import visible
from responder.reporter.terminal import wrapped

_INDENT = 4


@click.command()
@click.option("--object", "target", metavar="KIND/NS/NAME", help="Only this object: Deployment/shop/web, Node/n1.")
@click.option("--incident", metavar="ID", help="Only what was weighed for this incident, and its own object's changes.")
@click.option("--since", metavar="TIME", help="Only what happened since: 2h, 30m, 7d, or an RFC 3339 time.")
@click.option("--namespace", "-n", help="Only this namespace.")
@click.option("--kind", help="Only this kind.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", default="", help="Continue a page that said there is more.")
@output_option
@server_options
def changes(
    client: Client,
    target: str | None,
    incident: str | None,
    since: str | None,
    namespace: str | None,
    kind: str | None,
    limit: int,
    cursor: str,
    output: str,
) -> None:
    """Show what others changed in the cluster, newest first."""
    page = client.get(
        ChangePage,
        path_of("changes"),
        object=target,
        incident=incident,
        since=since,
        namespace=namespace,
        kind=kind,
        limit=limit,
        cursor=cursor,
    )
    if output == "json":
        print_json(page)
        return
    if not page.changes:
        click.echo("no changes")
        return
    for version in page.changes:
        for line in _told(version, columns()):
            click.echo(line)
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}")


def _told(version: ObjectVersion, width: int) -> Iterator[str]:
    about = "" if version.changed_at else "about "
    yield visible(f"{about}{version.at:%Y-%m-%d %H:%M:%S}  {version.ref} {headline(version)}").replace("\n", " ")
    for difference in version.differences:
        yield from wrapped("", difference_told(difference).replace("\n", " "), width, indent=_INDENT)
    if version.more_differences:
        yield f"{' ' * _INDENT}and {version.more_differences} more"
