"""`clopus approve`, `reject`, `rollback`, `investigate` and `mode`: what a named human decides."""

from __future__ import annotations

import sys

import click

from console.remote.client import Client, path_of
from responder.cli.options import columns, output_option, print_json, server_options
from responder.cli.replay import Wanted, replay, replay_options
from responder.domain.incident import Incident
from responder.domain.mode import ModeSettings
from responder.domain.plan import Plan
from responder.domain.rule import Mode
from responder.domain.views import PlanView
from responder.reporter.terminal import render_plan

_DIGEST_PREFIX = 12


@click.command()
@click.argument("plan_id", metavar="PLAN")
@click.option(
    "--digest", help="Digest of what you approve, or its first 12 characters. Without it the diff is shown first."
)
@output_option
@server_options
def approve(client: Client, plan_id: str, digest: str | None, output: str) -> None:
    """Approve a plan. What you approve is the digest: a plan that changed since is refused."""
    view = client.get(PlanView, path_of("plans", plan_id))
    full = view.plan.digest
    if digest is None and output == "json":
        raise click.UsageError("give --digest: a question is no JSON")
    if digest is None:
        digest = _ask(view)
    if len(digest) < _DIGEST_PREFIX or not full.startswith(digest):
        raise click.ClickException(f"{digest} is not the digest of {plan_id} now ({full[:_DIGEST_PREFIX]}): look again")
    plan = client.send(Plan, "POST", path_of("plans", plan_id, "approve"), {"digest": full})
    print_json(plan) if output == "json" else click.echo(
        f"approved {plan.id}; follow it: clopus show {plan.incident_id}"
    )


def _ask(view: PlanView) -> str:
    """Show the whole diff, then ask for the first characters of the digest: nothing is approved by a stray Enter."""
    if not sys.stdin.isatty():
        raise click.UsageError("give --digest: there is no terminal to show the diff on")
    click.echo(render_plan(view.plan, width=columns()))
    start = view.plan.digest[:4]
    answer: str = click.prompt(f"type {start} to approve exactly this")
    if answer.strip() != start:
        raise click.ClickException("not approved")
    return view.plan.digest


@click.command()
@click.argument("plan_id", metavar="PLAN")
@click.option("--reason", required=True, help="Goes into the record.")
@output_option
@server_options
def reject(client: Client, plan_id: str, reason: str, output: str) -> None:
    """Refuse a plan that waits."""
    plan = client.send(Plan, "POST", path_of("plans", plan_id, "reject"), {"reason": reason})
    print_json(plan) if output == "json" else click.echo(f"rejected {plan.id}")


@click.command()
@click.argument("execution_id", metavar="EXECUTION")
@output_option
@server_options
def rollback(client: Client, execution_id: str, output: str) -> None:
    """Take an applied change back by its recorded inverse."""
    incident = client.send(Incident, "POST", path_of("executions", execution_id, "rollback"))
    print_json(incident) if output == "json" else click.echo(f"rolling back; follow it: clopus show {incident.id}")


@click.command()
@click.argument("incident_id", metavar="ID")
@replay_options
@output_option
@server_options
def investigate(client: Client, incident_id: str, wanted: Wanted | None, output: str) -> None:
    """Look at an incident afresh; or, with --replay, let an analyzer work on what is on record of it."""
    if wanted is not None:
        replay(client, incident_id, wanted, output)
        return
    incident = client.send(Incident, "POST", path_of("incidents", incident_id, "investigate"))
    print_json(incident) if output == "json" else click.echo(f"investigating; follow it: clopus show {incident.id}")


@click.command()
@click.option("--ceiling", type=click.Choice([mode.value for mode in Mode]), help="Highest mode of the whole process.")
@click.option(
    "--namespace-ceiling", multiple=True, metavar="NAMESPACE=MODE", help="Ceiling of one namespace; `=` clears it."
)
@click.option("--kill-switch", type=click.Choice(["on", "off"]), help="on: no new write of any kind starts.")
@click.option("--reset-breakers", is_flag=True, help="Close the breakers that lowered autonomous mode.")
@click.option("--reason", default="", help="Goes into the record.")
@output_option
@server_options
def mode(
    client: Client,
    ceiling: str | None,
    namespace_ceiling: tuple[str, ...],
    kill_switch: str | None,
    reset_breakers: bool,
    reason: str,
    output: str,
) -> None:
    """Show the ceilings and the kill switch, or change them."""
    change: dict[str, object] = {}
    if ceiling is not None:
        change["ceiling"] = ceiling
    if namespace_ceiling:
        change["namespaces"] = _ceilings(client, namespace_ceiling)
    if kill_switch is not None:
        change["kill_switch"] = kill_switch == "on"
    if reset_breakers:
        change["reset_breakers"] = True
    if change:
        change["reason"] = reason
        settings = client.send(ModeSettings, "PUT", path_of("mode"), change)
    else:
        settings = client.get(ModeSettings, path_of("mode"))
    print_json(settings) if output == "json" else click.echo(_describe(settings))


def _ceilings(client: Client, wanted: tuple[str, ...]) -> dict[str, str]:
    """The ceilings of all namespaces after the change: the API replaces them as a whole."""
    ceilings = {name: value.value for name, value in client.get(ModeSettings, path_of("mode")).namespaces.items()}
    for namespace, value in map(_pair, wanted):
        if value is None:
            ceilings.pop(namespace, None)
        else:
            ceilings[namespace] = value
    return ceilings


def _pair(text: str) -> tuple[str, str | None]:
    namespace, separator, value = text.partition("=")
    if not separator or not namespace:
        raise click.UsageError(f"{text!r} is not NAMESPACE=MODE")
    return namespace, value or None


def _describe(settings: ModeSettings) -> str:
    lines = [
        f"ceiling      {settings.ceiling}",
        f"kill switch  {'ON: no write starts' if settings.kill_switch else 'off'}",
    ]
    lines += [f"namespace    {name}: {value}" for name, value in sorted(settings.namespaces.items())]
    lines += [f"breaker      {scope}: {why}" for scope, why in sorted(settings.breakers.items())]
    if settings.set_by:
        lines.append(f"set by       {settings.set_by}" + (f" ({settings.reason})" if settings.reason else ""))
    return "\n".join(lines)
