"""`clopus reference`: what can be set, measured, done, asked and selected, printed by the code that decides it.

The same text stands in the README files between two marker lines; `--update` writes it there anew.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Never, cast, get_type_hints

import click
from prometheus_client.metrics import MetricWrapperBase

from responder import settings
from responder.api import routes
from responder.api.auth import Role
from responder.conditions import NAMES
from responder.domain.action import ACTION_TYPES, Action
from responder.domain.refs import ObjectRef
from responder.domain.snapshot import Snapshot
from responder.fixer.actions import HANDLERS
from responder.store.store import Connection, Store
from responder.telemetry import Metrics

BEGIN = "<!-- begin reference: {} -->"
END = "<!-- end reference: {} -->"

_ROLES = {None: "anyone", Role.WEBHOOK: "webhook", Role.VIEWER: "viewer", Role.OPERATOR: "operator"}


@click.command()
@click.argument(
    "section", required=False, type=click.Choice(["settings", "metrics", "actions", "conditions", "http", "database"])
)
@click.option(
    "--update",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rewrite the marked references of this file instead; repeatable.",
)
def reference(section: str | None, files: tuple[Path, ...]) -> None:
    """Print the reference of one section, or of all, as Markdown."""
    for file in files:
        file.write_text(updated(file.read_text(encoding="utf-8")), encoding="utf-8")
    if not files:
        click.echo("\n\n".join(SECTIONS[name]() for name in ([section] if section else SECTIONS)))


def updated(text: str) -> str:
    """`text` with every marked reference as it is now."""
    for name, make in SECTIONS.items():
        begin, end = BEGIN.format(name), END.format(name)
        if begin in text and end in text:
            before, _, rest = text.partition(begin)
            text = f"{before}{begin}\n\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return text


def settings_section() -> str:
    return settings.reference().strip()


def metrics_section() -> str:
    return _table(("metric", "type", "labels", "meaning"), _metrics())


def _metrics() -> Iterator[tuple[str, ...]]:
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (described,) = metric.describe()
            # The library offers no public way to the label names of a metric without samples.
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            suffix = "_total" if described.type == "counter" else ""
            yield f"`{described.name}{suffix}`", described.type, labels, described.documentation


def actions_section() -> str:
    head = ("action", "what it does", "says", "risk", "can be taken back", "rights for the write")
    return _table(head, (_action(action_type) for action_type in ACTION_TYPES))


def _action(action_type: type[Action]) -> tuple[str, ...]:
    handler = HANDLERS[action_type.kind]
    sample = _sample(action_type)
    risk = handler.risk(cast(Never, sample), Snapshot(taken_at=datetime.now(UTC), root=sample.target))
    says = ", ".join(f"`{item.name}`" for item in fields(action_type) if item.name != "target")
    by_verbs: dict[str, list[str]] = {}
    for right in handler.permissions:
        by_verbs.setdefault(", ".join(right.verbs), []).append(".".join(filter(None, (right.resource, right.group))))
    rights = "; ".join(f"{verbs} {', '.join(f'`{what}`' for what in named)}" for verbs, named in by_verbs.items())
    module = sys.modules[type(handler).__module__].__doc__ or ""
    does = " ".join(module.split("\n\n")[0].split()).partition(": ")[2]
    return f"`{action_type.kind}`", does, says, risk.value, "yes" if handler.reversible else "no", rights


def _sample(action_type: type[Action]) -> Action:
    """An action with some value in every field: risk is the action's own, whatever the values."""
    values: dict[str, object] = {"target": ObjectRef(kind="Deployment", namespace="shop", name="web", uid="0")}
    hints = get_type_hints(action_type)
    for item in fields(action_type):
        kind = hints[item.name]
        if isinstance(kind, type) and item.name != "target":
            values[item.name] = next(iter(kind)) if issubclass(kind, Enum) else cast("Callable[[int], object]", kind)(1)
    return cast("Callable[..., Action]", action_type)(**values)


def conditions_section() -> str:
    return _table(("alert name", "meaning"), ((f"`{name}`", NAMES[name]) for name in sorted(NAMES)))


def http_section() -> str:
    return _table(("method", "path", "role", "what"), _endpoints())


def _endpoints() -> Iterator[tuple[str, ...]]:
    webhook = "Alertmanager's webhook, version 4, and Grafana's. A 2xx means committed to disk."
    yield "`POST`", f"`{routes.WEBHOOK_PATH}`", "webhook", webhook
    for endpoint in routes.ENDPOINTS:
        query = ", ".join(f"`{parameter.name}`" for parameter in endpoint.query)
        what = f"{endpoint.summary} Query: {query}." if query else endpoint.summary
        yield f"`{endpoint.method}`", f"`{endpoint.path}`", _ROLES[endpoint.role], what


def database_section() -> str:
    """Views at length, because people select from them; of tables only what they hold."""
    store = Store.open(":memory:")
    try:
        views, columns = asyncio.run(_schema(store))
    finally:
        store.close()
    columns_of = {owner: [c for c in columns if c[0] == owner] for owner in sorted({c[0] for c in columns})}
    told = [
        (f"`{view}`", comment.partition(":")[0], ", ".join(f"`{name}` {kind}" for _, name, kind in columns_of[view]))
        for view, comment in views
    ]
    kept = {owner: found for owner, found in columns_of.items() if owner not in dict(views)}
    lists = [(f"`{table}`", ", ".join(name for _, name, _ in found)) for table, found in kept.items()]
    return "\n\n".join((_table(("view", "what", "columns"), told), _table(("table", "columns"), lists)))


async def _schema(store: Store) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    def read(con: Connection) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
        views = con.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
        columns = con.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
        return cast("list[tuple[str, str]]", views), cast("list[tuple[str, str, str]]", columns)

    return await store.read(read)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


SECTIONS: dict[str, Callable[[], str]] = {
    "settings": settings_section,
    "metrics": metrics_section,
    "actions": actions_section,
    "conditions": conditions_section,
    "http": http_section,
    "database": database_section,
}
