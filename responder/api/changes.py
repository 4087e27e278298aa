"""What others changed, page by page: of one object, around one incident, or since a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from aiohttp import web

from responder.analyzer.changes import WINDOW
from responder.api.auth import Role
from responder.api.endpoint import Endpoint, Parameter, answer
from responder.api.problems import RequestInvalid
from responder.api.requests import CURSOR, LIMIT, Query
from responder.api.services import SERVICES
from responder.detector.record import RECORDED_KINDS
from responder.domain import spans
from responder.domain.incident import Incident
from responder.domain.refs import CLUSTER_SCOPED, ObjectRef, is_namespace_name, is_object_name
from responder.domain.versions import ObjectVersion
from responder.domain.views import ChangePage
from responder.store import incidents, versions
from responder.store.store import Connection

_CURSOR = re.compile(r"[1-9][0-9]{0,17}\Z", re.ASCII)

_CHANGE_QUERY = (
    Parameter(name="object", meaning="only this object: `Deployment/shop/web`, `Node/n1`"),
    Parameter(name="incident", meaning="only what was weighed for this incident, and its root object's own"),
    Parameter(name="namespace", meaning="only this namespace"),
    Parameter(name="kind", meaning="only this kind", choices=RECORDED_KINDS),
    Parameter(name="since", meaning="only what happened since: RFC 3339, or `90s`, `30m`, `2h`, `7d` ago"),
    LIMIT,
    CURSOR,
)


async def list_changes(request: web.Request) -> web.Response:
    query = Query(request, _CHANGE_QUERY)
    services = request.app[SERVICES]
    target = _object(query.text("object"))
    kind = query.text("kind")
    if kind and kind not in RECORDED_KINDS:
        raise RequestInvalid("kind", f"not one of {', '.join(RECORDED_KINDS)}")
    namespace, incident_id = query.text("namespace"), query.text("incident")
    since = _since(query.text("since"), services.now())
    limit, cursor = query.limit(), query.cursor(_CURSOR)

    def read(con: Connection) -> ChangePage:
        incident = incidents.get(con, incident_id) if incident_id else None
        found, following = versions.page(
            con,
            kind=target.kind if target else kind,
            namespace=target.namespace if target else namespace,
            name=target.name if target else "",
            since=since or (incident.opened_at - WINDOW if incident else None),
            until=incident.resolved_at if incident else None,
            refs=(incident.root,) if incident and incident.root else (),
            incident_id=incident_id,
            limit=limit,
            cursor=cursor,
        )
        return ChangePage(changes=found, next_cursor=following)

    return answer(await services.store.read(read))


def around(con: Connection, incident: Incident, *, limit: int = 50) -> tuple[ObjectVersion, ...]:
    """What was weighed for the incident, and the changes of its root object until it ended, newest first."""
    found, _ = versions.page(
        con,
        since=incident.opened_at - WINDOW,
        until=incident.resolved_at,
        refs=(incident.root,) if incident.root else (),
        incident_id=incident.id,
        limit=limit,
    )
    return found


def _object(text: str) -> ObjectRef | None:
    if not text:
        return None
    kind, *rest = text.split("/")
    cluster_scoped = kind in CLUSTER_SCOPED
    if kind not in RECORDED_KINDS or len(rest) != (1 if cluster_scoped else 2) or not is_object_name(rest[-1]):
        raise RequestInvalid(
            "object",
            f"{text!r} is not Kind/namespace/name (Node/name) of a kind that is recorded: {', '.join(RECORDED_KINDS)}",
        )
    if not cluster_scoped and not is_namespace_name(rest[0]):
        raise RequestInvalid("object", "no namespace can have this name")
    return ObjectRef(kind=kind, namespace="" if cluster_scoped else rest[0], name=rest[-1])


def _since(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    ago = spans.parse(text)
    if ago is not None:
        return now - ago
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise RequestInvalid(
            "since", f"{text!r} is neither an RFC 3339 time nor a while such as `30m`, `2h`, `7d`"
        ) from exc
    if moment.tzinfo is None:
        raise RequestInvalid("since", "a time without zone; add Z or an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise RequestInvalid("since", "out of range") from exc


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/changes",
        handler=list_changes,
        role=Role.VIEWER,
        summary="What others changed, newest first.",
        query=_CHANGE_QUERY,
        answer=ChangePage,
        refusals=(404,),
    ),
)
