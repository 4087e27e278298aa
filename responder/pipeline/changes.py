"""Reads, for one snapshot, the recorded changes that may explain it."""

from __future__ import annotations

from dataclasses import replace

from responder.analyzer.changes import MAX_CHANGES, WINDOW, chosen, concerns, related
from responder.domain.incident import Incident
from responder.domain.snapshot import Snapshot
from responder.domain.versions import ObjectVersion
from responder.pipeline.context import Context
from responder.store import versions
from responder.store.store import Connection

_MAX_WIDE = 5 * MAX_CHANGES
"""Changes of the namespace at large that are looked at; most of them concern other pods."""


async def with_changes(ctx: Context, incident: Incident, snapshot: Snapshot) -> Snapshot:
    """The snapshot with what changed from a day before the incident was opened until now.

    Raises:
        StoreUnavailable: the record cannot be read.
    """
    around, since = related(snapshot), incident.opened_at - WINDOW

    def read(con: Connection) -> tuple[ObjectVersion, ...]:
        direct, _ = versions.page(con, refs=around.refs, since=since, limit=MAX_CHANGES)
        if not around.kinds:
            return chosen(direct, ())
        wide, _ = versions.page(con, kinds=around.kinds, since=since, limit=_MAX_WIDE)
        return chosen(direct, (v for v in wide if concerns(snapshot, v.ref.kind, versions.bodies(con, v))))

    return replace(snapshot, changes=await ctx.store.read(read))
