"""`clopus console`: the operators' terminal console. Imports nothing of the server."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.remote.client import Client
from console.shell.memory import Memory, default_path
from console.shell.preferences import load
from responder.cli.options import server_options

if TYPE_CHECKING:
    from console.remote.forward import Forward
    from console.shell.keymap import Key


@click.command()
@server_options
@click.option(
    "--forward", is_flag=False, flag_value="svc/clopus", metavar="[KIND/NAME[:PORT]]",
    help="Reach the API by a `kubectl port-forward` that is kept up: svc/clopus, or what is named.",
)  # fmt: skip
@click.option("--context", default="", help="Of kubectl, for --forward, which it implies.")
@click.option("--namespace", "-n", default="", help="Of kubectl, for --forward, which it implies.")
@click.option(
    "--config", "config", type=click.Path(path_type=Path), envvar="CLOPUS_CONSOLE_CONFIG",
    help="File with theme and keys.  [default: clopus/console.toml in XDG_CONFIG_HOME]",
)  # fmt: skip
@click.option("--keys", "lists_keys", is_flag=True, help="Print what can be given another key, and leave.")
@click.pass_context
def console(
    ctx: click.Context, client: Client, forward: str | None, context: str, namespace: str,
    config: Path | None, lists_keys: bool,
) -> None:  # fmt: skip
    """See, understand, decide and undo, in a terminal."""
    try:
        from console.app import ConsoleApp
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        click.echo("clopus: the console needs the extra `console`: pip install 'clopus[console]'", err=True)
        sys.exit(2)
    if lists_keys:
        from console.shell.keymap import keys_of

        _print_keys(keys_of(ConsoleApp))
        return
    preferences = load(config, os.environ)
    if forward or context or namespace:
        _refuse_url(ctx)
        client.moved_to(0)
        kept_up = _forward(forward or "svc/clopus", context, namespace)
    else:
        kept_up = None
    app = ConsoleApp(client, preferences=preferences, memory=Memory(default_path(os.environ)), forward=kept_up)
    _need_terminal()
    try:
        app.run()
    finally:
        if kept_up is not None:
            kept_up.stop()
    sys.exit(app.return_code or 0)


def _refuse_url(ctx: click.Context) -> None:
    if ctx.get_parameter_source("url") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--url says where the API is, --forward finds out: give one of them")


def _forward(target: str, context: str, namespace: str) -> Forward:
    """Raises UsageError."""
    from console.remote.forward import Forward, Target

    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise click.UsageError("--forward runs kubectl, and there is none on the PATH: install it, or give --url")
    try:
        parsed = Target.parsed(target, context=context, namespace=namespace)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    return Forward(parsed.command(kubectl))


def _need_terminal() -> None:
    """Screens cannot be drawn everywhere; what they show can be had as text."""
    if os.environ.get("TERM", "") in ("dumb", "unknown"):
        problem = f"TERM={os.environ['TERM']} says that this terminal cannot move its cursor"
    elif not (sys.stdin.isatty() and sys.stdout.isatty()):
        problem = "the console needs a terminal to read keys from and to draw on"
    else:
        return
    click.echo(f"clopus: {problem}; `clopus incidents`, `show`, `approve` do the same as text", err=True)
    sys.exit(2)


def _print_keys(keys: Iterable[Key]) -> None:
    for key in keys:
        click.echo(f"{key.id:<26} {', '.join(key.keys):<28} {key.does}")
