"""The command `clopus`. Exit codes: 0 done, 1 the thing asked about is bad, 2 usage or configuration.

Sub-commands are imported when they are called: `clopus incidents` must not pay for the server's libraries.
"""

from __future__ import annotations

import importlib
import sys

import click

from responder import __version__

_COMMANDS = {
    "approve": ("responder.cli.decide", "Approve a plan that waits; the digest is what is approved."),
    "audit": ("responder.cli.audit", "Check the chain of records."),
    "changes": ("responder.cli.changes", "Show what others changed in the cluster."),
    "console": ("responder.cli.console", "See, understand, decide and undo, in a terminal."),
    "demo": ("responder.cli.demo", "Show the main job on a built-in cluster; needs nothing."),
    "incidents": ("responder.cli.show", "List incidents."),
    "investigate": ("responder.cli.decide", "Look at an incident afresh."),
    "mode": ("responder.cli.decide", "Show or change ceilings and the kill switch."),
    "rbac": ("responder.cli.rbac", "Print the least-privilege manifest."),
    "reference": ("responder.cli.reference", "Print what can be set, measured, done, asked and selected."),
    "reject": ("responder.cli.decide", "Refuse a plan that waits."),
    "rollback": ("responder.cli.decide", "Take an applied change back."),
    "rules": ("responder.cli.rules", "Check and test rule files."),
    "serve": ("responder.cli.serve", "Run the responder."),
    "show": ("responder.cli.show", "Show one incident: what, why, what changes, how to take it back."),
    "sql": ("responder.cli.sql", "Ask the record a SELECT."),
    "status": ("responder.cli.status", "Show how the responder itself is; exits 1 where something is wrong."),
    "watches": ("responder.cli.watches", "Show what is watched in the cluster, and what may not be."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in sorted(_COMMANDS.items())])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="clopus")
def cli() -> None:
    """Clopus answers Kubernetes alerts: investigates, proposes typed fixes, applies them as far as policy and people
    allow, verifies, and takes them back."""


def main() -> None:
    from console.remote.client import ApiError
    from responder.domain.errors import ConfigError, PermanentError, ResponderError

    try:
        cli()
    except ConfigError as exc:
        click.echo(str(exc), err=True)
        sys.exit(2)
    except ApiError as exc:
        click.echo(f"clopus: {exc}", err=True)
        sys.exit(2 if exc.status in (0, 401, 403) else 1)
    except (PermanentError, ResponderError) as exc:
        click.echo(f"clopus: {exc}", err=True)
        sys.exit(1)
