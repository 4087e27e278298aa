"""The list of incidents: which ones, in which order, and where in it the page begins.

What a search means is `domain.search`'s, how it is looked for `store.listing`'s; here is how it is spelt in a request.
A word that is in no incident finds nothing and is no error; one that no incident can have is.
"""

from __future__ import annotations

import re

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, Parameter, answer
from responder.api.problems import RequestInvalid
from responder.api.requests import LIMIT, Query
from responder.api.services import SERVICES
from responder.domain.incident import Outcome, State
from responder.domain.search import NEWEST_FIRST, Order, Search, SortBy
from responder.domain.views import IncidentPage
from responder.store import listing
from responder.store.store import Connection

NO_OUTCOME = "none"
"""How `Outcome.NONE`, whose value is empty, can be asked for."""

_INCIDENT = re.compile(r"inc-[0-9a-z]{12}\Z", re.ASCII)

_PATTERNS = "repeat or separate by commas; `*` stands for any characters, `?` for one"

_INCIDENT_QUERY = (
    Parameter(name="q", meaning="text that id, key, summary or labels contain; repeated: all of them", repeated=True),
    Parameter(name="not_q", meaning="text that none of these contains", repeated=True),
    Parameter(
        name="state",
        meaning="only these states; repeat or separate by commas",
        choices=tuple(State),
        repeated=True,
    ),
    Parameter(
        name="outcome",
        meaning=f"only these outcomes; repeat or separate by commas; `{NO_OUTCOME}`, or empty: none so far",
        choices=(NO_OUTCOME, *filter(None, Outcome)),
        repeated=True,
    ),
    Parameter(name="namespace", meaning=f"only these namespaces; {_PATTERNS}", repeated=True),
    Parameter(name="not_namespace", meaning="none of these namespaces, likewise", repeated=True),
    Parameter(name="rule", meaning=f"only incidents that these rules decided; {_PATTERNS}", repeated=True),
    Parameter(name="not_rule", meaning="none that these rules decided, likewise", repeated=True),
    Parameter(name="severity", meaning=f"only these severities; {_PATTERNS}", repeated=True),
    Parameter(name="not_severity", meaning="none of these severities, likewise", repeated=True),
    Parameter(name="mode", meaning=f"only these effective modes; {_PATTERNS}", repeated=True),
    Parameter(name="kind", meaning=f"only root objects of these kinds; {_PATTERNS}", repeated=True),
    Parameter(name="younger_than", meaning="opened less than this ago: `90s`, `15m`, `2h`, `7d`"),
    Parameter(name="older_than", meaning="opened more than this ago"),
    Parameter(
        name="sort",
        meaning="by which column, `-` before it turns it round; what is equal stands newest first",
        choices=tuple(f"{sign}{by}" for by in SortBy for sign in ("", "-")),
    ),
    Parameter(name="offset", meaning="how many matching incidents come before the page", number=True),
    Parameter(
        name="around",
        meaning="id of an incident: the page that holds it, or would; not together with offset or cursor",
    ),
    LIMIT,
    Parameter(
        name="cursor", meaning="next_cursor of the page before, newest first only; not together with sort or offset"
    ),
)


async def list_incidents(request: web.Request) -> web.Response:
    query = Query(request, _INCIDENT_QUERY)
    search, order = _search(query), _order(query)
    limit, offset = query.limit(), query.offset()
    cursor, around = query.cursor(_INCIDENT), query.text("around")
    _check_place(query, order, around)
    services = request.app[SERVICES]
    now = services.now()

    def read(con: Connection) -> IncidentPage:
        return listing.page(con, search, order, now=now, limit=limit, offset=offset, around=around, cursor=cursor)

    return answer(await services.store.read(read))


def _search(query: Query) -> Search:
    return Search(
        text=query.texts("q"),
        not_text=query.texts("not_q"),
        states=tuple(State(value) for value in query.choices("state", State)),
        outcomes=tuple(Outcome(value) for value in query.choices("outcome", Outcome, nothing=NO_OUTCOME)),
        namespaces=query.words("namespace"),
        not_namespaces=query.words("not_namespace"),
        rules=query.words("rule"),
        not_rules=query.words("not_rule"),
        severities=query.words("severity"),
        not_severities=query.words("not_severity"),
        modes=query.words("mode"),
        kinds=query.words("kind"),
        younger_than=query.span("younger_than"),
        older_than=query.span("older_than"),
    )


def _order(query: Query) -> Order:
    text = query.text("sort")
    try:
        return Order.parse(text) if text else NEWEST_FIRST
    except ValueError as exc:
        raise RequestInvalid("sort", str(exc)) from exc


def _check_place(query: Query, order: Order, around: str) -> None:
    """At most one of offset, around and cursor says where the page begins."""
    if around and not _INCIDENT.match(around):
        raise RequestInvalid("around", "no incident can have this id")
    given = [name for name in ("cursor", "around", "offset") if query.gives(name)]
    if len(given) > 1:
        raise RequestInvalid(given[0], f"says where the page begins, and so does {given[1]}: give one of them")
    if given == ["cursor"] and order != NEWEST_FIRST:
        raise RequestInvalid("cursor", f"goes on newest first, not by {order}: give offset with sort")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/incidents",
        handler=list_incidents,
        role=Role.VIEWER,
        summary="Incidents that match, page by page, and how many there are; newest first unless told otherwise.",
        query=_INCIDENT_QUERY,
        answer=IncidentPage,
    ),
)
