"""`clopus console`: the operators' terminal console. Imports nothing of the server."""

from __future__ import annotations

import sys

import click

from console.client import Client
from responder.cli.options import server_options


@click.command()
@server_options
def console(client: Client) -> None:
    """See, understand, decide and undo, in a terminal."""
    try:
        from console.app import ConsoleApp
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        click.echo("clopus: the console needs the extra `console`: pip install 'clopus[console]'", err=True)
        sys.exit(2)
    app = ConsoleApp(client)
    app.run()
    sys.exit(app.return_code or 0)
