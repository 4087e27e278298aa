"""`clopus audit verify`: walk the chain of records here, on the operator's side, with nothing taken on trust."""

from __future__ import annotations

import sys

import click

from console.chainwalk import ChainWalk
from console.remote.client import Client, path_of
from responder.cli.options import output_option, print_json, server_options
from responder.domain.audit import AuditHead
from responder.domain.views import AuditPage, AuditState


@click.group()
def audit() -> None:
    """Check the chain of records."""


@audit.command()
@click.option(
    "--head",
    metavar="SEQ:DIGEST",
    help="The end of the chain as you noted it: a cut-off tail is found then. Without it, the server's own note of it, "
    "which stands beside the database.",
)
@output_option
@server_options
def verify(client: Client, head: str | None, output: str) -> None:
    """Recompute every digest. Exits 1 at the first record that is not what was written."""
    noted = _head(head) or client.get(AuditState, path_of("audit", "state")).outside
    walk = ChainWalk(lambda after, limit: client.get(AuditPage, path_of("audit"), after=str(after), limit=limit), noted)
    report = walk.run()
    end = f"{walk.end.seq}:{walk.end.digest}" if walk.checked else "0:"
    if output == "json":
        print_json({"report": report, "head": end})
    elif report.ok:
        click.echo(f"{report.checked} records, all as written\nhead {end}")
    else:
        click.echo(f"record {report.first_bad}: {report.problem}")
    sys.exit(0 if report.ok else 1)


def _head(text: str | None) -> AuditHead | None:
    if text is None:
        return None
    seq, _, digest = text.partition(":")
    if not seq.isdigit() or not digest:
        raise click.BadParameter(f"{text!r} is not SEQ:DIGEST", param_hint="--head")
    return AuditHead(seq=int(seq), digest=digest)
