"""`clopus rbac`: the rights that the enabled actions need in the named namespaces, and not one more."""

from __future__ import annotations

from pathlib import Path

import click

from responder.domain.action import ACTION_KINDS
from responder.domain.refs import is_namespace_name
from responder.fixer.actions import permissions_of
from responder.rbac import manifest, to_yaml
from responder.rules.loader import load


@click.command()
@click.option("--namespace", "-n", "namespaces", multiple=True, help="Namespace to watch over; repeatable.")
@click.option(
    "--action", "actions", multiple=True, type=click.Choice(ACTION_KINDS), help="Action to enable; repeatable."
)
@click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Enable the actions that these rule files name.",
)
@click.option(
    "--cluster",
    is_flag=True,
    help="Also read nodes and namespaces, whose trouble goes unseen without, and single volumes and storage classes.",
)
@click.option(
    "--all-namespaces", is_flag=True, help="Read every namespace, by a ClusterRole; for globs and label selectors."
)
@click.option("--checks", is_flag=True, help="Also read what the proactive checks look at: certificates.")
@click.option("--own-namespace", default="clopus", show_default=True, help="Where Clopus itself runs.")
@click.option("--service-account", default="clopus", show_default=True)
def rbac(
    namespaces: tuple[str, ...],
    actions: tuple[str, ...],
    rule_paths: tuple[Path, ...],
    cluster: bool,
    all_namespaces: bool,
    checks: bool,
    own_namespace: str,
    service_account: str,
) -> None:
    """Print the least-privilege manifest as YAML. Without an action it is read-only: enough for report mode."""
    if not namespaces and not all_namespaces:
        raise click.UsageError("name the namespaces to watch over: --namespace NAME, or --all-namespaces")
    for name in (*namespaces, own_namespace):
        if not is_namespace_name(name):
            raise click.BadParameter(f"{name!r} is no namespace's name; for globs and selectors: --all-namespaces")
    named = {action for rule in load(rule_paths).rules for action in rule.actions} if rule_paths else set()
    kinds = [kind for kind in ACTION_KINDS if kind in named | set(actions)]
    documents = manifest(
        kinds=kinds,
        namespaces=namespaces,
        service_account=service_account,
        own_namespace=own_namespace,
        permissions=permissions_of(kinds),
        cluster=cluster,
        everywhere=all_namespaces,
        checks=checks,
    )
    click.echo(to_yaml(documents), nl=False)
