"""The audit chain, page by page, and its two ends. It is proved where it is read, by `clopus audit verify` and the
console: here it is only handed out."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, Parameter, answer
from responder.api.problems import RequestInvalid
from responder.api.requests import CURSOR, LIMIT, Query
from responder.api.services import SERVICES
from responder.domain.audit import AuditHead
from responder.domain.views import AuditPage, AuditState
from responder.store import audit, chainhead
from responder.store.store import Connection, Store

_CURSOR = re.compile(r"[1-9][0-9]{0,17}\Z", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}\Z", re.ASCII)

_AUDIT_QUERY = (
    Parameter(name="incident", meaning="only records of this incident"),
    Parameter(name="actor", meaning="only records of this person, `policy` or `clopus`"),
    Parameter(name="event", meaning="only this event"),
    Parameter(name="after", meaning="only the records that follow this number: of them the oldest, newest first"),
    LIMIT,
    CURSOR,
)


async def list_audit(request: web.Request) -> web.Response:
    query = Query(request, _AUDIT_QUERY)
    incident, actor, event = query.text("incident"), query.text("actor"), query.text("event")
    limit, before, after = query.limit(), int(query.cursor(_CURSOR) or 0), _after(query)
    if after is not None and before:
        raise RequestInvalid("after", "leads to newer records, cursor to older ones: not both")

    def read(con: Connection) -> AuditPage:
        if after is not None:
            following = audit.after(con, after, incident_id=incident, actor=actor, event=event, limit=limit)
            return AuditPage(records=following[::-1])
        found = audit.page(con, incident_id=incident, actor=actor, event=event, limit=limit + 1, before=before)
        shown = found[:limit]
        return AuditPage(records=shown, next_cursor=str(shown[-1].seq) if len(found) > limit else "")

    return answer(await request.app[SERVICES].store.read(read))


async def get_state(request: web.Request) -> web.Response:
    Query(request, ())
    store = request.app[SERVICES].store
    state = await _state(store)
    if state.database != state.outside:
        # A commit came in between: one more look nearly always sees both ends of the same one.
        state = await _state(store)
    return answer(state)


async def _state(store: Store) -> AuditState:
    """The file is read first, and it is written after the commit: the database is never behind it by right."""
    outside = await asyncio.to_thread(store.remembered_head)
    head, digest = await store.read(lambda con: (audit.head(con), audit.digest_at(con, outside.seq if outside else 0)))
    if outside is None:
        return AuditState(database=head, outside=AuditHead(), problem="the record is in memory, with no file beside it")
    return AuditState(database=head, outside=outside, problem=_disagreement(head, outside, digest))


def _disagreement(head: AuditHead, outside: AuditHead, digest: str) -> str:
    """`digest` is of the record that the file names, '' where there is none."""
    if outside == chainhead.UNREADABLE:
        return "the file beside the database cannot be read"
    if outside.seq > head.seq:
        return f"the database ends at record {head.seq}, but record {outside.seq} had been written"
    if digest != outside.digest:
        return f"record {outside.seq} is another than the file beside the database says"
    return ""


def _after(query: Query) -> int | None:
    value = query.text("after")
    if value and not _NUMBER.match(value):
        raise RequestInvalid("after", "not the number of a record, or 0")
    return int(value) if value else None


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
    Endpoint(
        method="GET",
        path="/api/v1/audit/state",
        handler=get_state,
        role=Role.VIEWER,
        summary="The end of the audit chain in the database, and as written beside it.",
        answer=AuditState,
    ),
)
