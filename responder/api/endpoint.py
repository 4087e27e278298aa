"""One row of the route table: what is registered and what `/openapi.json` says of it come from the same value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from responder import wire
from responder.api.auth import Identity, Role

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

IDENTITY = web.RequestKey("identity", Identity)
"""Who asks; set by the middleware on every route that has a role."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A query parameter."""

    name: str
    meaning: str
    choices: tuple[str, ...] = ()
    """Empty: any text."""
    number: bool = False
    repeated: bool = False
    """May be given more than once."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    method: str
    path: str
    """With `{id}` where the record's id stands."""
    handler: Handler
    role: Role | None
    """Needed to call it; None: open to everyone."""
    summary: str
    answer: type | None
    """Type of the JSON answer; None for another format."""
    events: Mapping[str, type] = field(default_factory=dict)
    """Of a stream of events: name -> type of its JSON data."""
    body: type | None = None
    """Type of the JSON body; None where there is none."""
    query: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    """Statuses of its own errors, beside those that every route can answer."""


@dataclass(frozen=True, kw_only=True)
class RouteTable:
    endpoints: tuple[Endpoint, ...]
    roles: Mapping[tuple[str, str], Role | None]
    """Method and path template -> role needed."""

    @classmethod
    def of(cls, endpoints: tuple[Endpoint, ...]) -> RouteTable:
        return cls(endpoints=endpoints, roles={(item.method, item.path): item.role for item in endpoints})


ROUTES = web.AppKey("routes", RouteTable)


def answer(value: object, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=wire.dumps(value), content_type="application/json")
