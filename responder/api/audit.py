"""The audit chain, page by page. `clopus audit verify` proves it; here it is only read."""

from __future__ import annotations

import re

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, Parameter, answer
from responder.api.requests import CURSOR, LIMIT, Query
from responder.api.services import SERVICES
from responder.domain.views import AuditPage
from responder.store import audit
from responder.store.store import Connection

_CURSOR = re.compile(r"[1-9][0-9]{0,17}\Z", re.ASCII)

_AUDIT_QUERY = (
    Parameter(name="incident", meaning="only records of this incident"),
    Parameter(name="actor", meaning="only records of this person, `policy` or `clopus`"),
    Parameter(name="event", meaning="only this event"),
    LIMIT,
    CURSOR,
)


async def list_audit(request: web.Request) -> web.Response:
    query = Query(request, _AUDIT_QUERY)
    incident, actor, event = query.text("incident"), query.text("actor"), query.text("event")
    limit, before = query.limit(), int(query.cursor(_CURSOR) or 0)

    def read(con: Connection) -> AuditPage:
        found = audit.page(con, incident_id=incident, actor=actor, event=event, limit=limit + 1, before=before)
        shown = found[:limit]
        return AuditPage(records=shown, next_cursor=str(shown[-1].seq) if len(found) > limit else "")

    return answer(await request.app[SERVICES].store.read(read))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/audit",
        handler=list_audit,
        role=Role.VIEWER,
        summary="The audit chain, newest first.",
        query=_AUDIT_QUERY,
        answer=AuditPage,
    ),
)
