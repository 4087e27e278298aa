"""`clopus rules check` and `clopus rules test`: what a platform team runs before it commits a rule."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from responder.cli.options import output_option, print_json
from responder.domain.errors import ConfigErrors
from responder.rules.loader import load
from responder.rules.testing import CaseResult, run

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))


@click.group()
def rules() -> None:
    """Check and test rule files."""


@rules.command()
@_PATHS
@output_option
def check(paths: tuple[Path, ...], output: str) -> None:
    """Read the files and name every problem with file, line and column. Exits 1 when there is one."""
    try:
        rule_set = load(paths)
    except ConfigErrors as exc:
        problems = [
            {"path": e.path, "line": e.line, "column": e.column, "key": e.key, "problem": e.problem} for e in exc
        ]
        print_json({"ok": False, "problems": problems}) if output == "json" else click.echo(str(exc))
        sys.exit(1)
    if output == "json":
        print_json({"ok": True, "rules": len(rule_set.rules), "digest": rule_set.digest})
        return
    click.echo(f"{len(rule_set.rules)} rules, digest {rule_set.digest[:12]}")


@rules.command()
@_PATHS
@output_option
def test(paths: tuple[Path, ...], output: str) -> None:
    """Run the `tests:` of every rule. Exits 1 when one does not come out as expected."""
    results = run(load(paths))
    failed = [result for result in results if not result.passed]
    if output == "json":
        print_json({"ok": not failed, "passed": len(results) - len(failed), "failed": failed})
    else:
        for result in failed:
            click.echo(_line(result))
        click.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


def _line(result: CaseResult) -> str:
    return f"{result.file}:{result.line}: rule {result.rule}, alert {result.alert or '(any)'}: {result.problem}"
