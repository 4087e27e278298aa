"""`clopus sql`: one SELECT over the record."""

from __future__ import annotations

import sys

import click

from console.remote.client import Client, LongCall, path_of
from console.sheets import csv_of, table_of
from responder.cli.options import print_json, server_options
from responder.domain.views import QueryAnswer


@click.command()
@click.argument("statement")
@click.option(
    "--output",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
@server_options
def sql(client: Client, statement: str, output: str) -> None:
    """Ask the record the SELECT that STATEMENT is; `-` reads it from standard input.

    It runs on a copy, in a process of its own, and can change nothing. `clopus reference database` lists the views.
    """
    text = sys.stdin.read() if statement == "-" else statement
    answer = client.send(QueryAnswer, "POST", path_of("query"), {"sql": text}, call=LongCall())
    match output:
        case "json":
            print_json(answer)
        case "csv":
            click.echo(csv_of(answer), nl=False)
        case _:
            for line in table_of(answer):
                click.echo(line)
            count = len(answer.rows)
            click.echo(f"{count} row{'' if count == 1 else 's'}, as of {answer.as_of:%Y-%m-%d %H:%M:%S} UTC", err=True)
    if answer.truncated:
        click.echo(f"clopus: {answer.truncated}", err=True)
