"""Who has which plan on a screen at this moment. It is told to the others who look, and decides nothing.

Kept in memory and forgotten when a screen has not been heard of for a while: after a restart everybody who still looks
says so again within seconds. A name is the credential's; the session is what a screen calls itself, and belongs to the
name it came with, so nobody can speak for another.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import IDENTITY, Endpoint, answer
from responder.api.problems import RequestInvalid
from responder.api.requests import read_body
from responder.api.services import SERVICES
from responder.domain.plan import Plan
from responder.domain.views import Presence, Viewer
from responder.store import plans

FORGOTTEN_SECONDS = 15.0
"""Three messages of a screen missed."""
MAX_SCREENS = 1024
MAX_SCREENS_OF_ONE = 16
"""Of one name; more push out that name's own, nobody else's."""
DRIFT_KEPT_SECONDS = 0.5
"""However many screens ask, and however often, the cluster is asked about one plan once in this time."""

_SESSION = re.compile(r"[0-9A-Za-z-]{8,64}\Z", re.ASCII)


class _Screen(NamedTuple):
    plan_id: str
    name: str
    session: str


@dataclass(frozen=True)
class _Seen:
    viewer: Viewer
    heard: float
    """By the monotonic clock."""


class Viewers:
    """The screens heard of lately, in the order in which they were heard."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: dict[_Screen, _Seen] = {}

    def looks(self, plan_id: str, *, name: str, session: str, deciding: bool, at: datetime) -> None:
        """`at` is when a screen that is new here began to look."""
        self._forget()
        screen = _Screen(plan_id, name, session)
        earlier = self._seen.pop(screen, None)
        viewer = earlier.viewer if earlier else Viewer(name=name, session=session, since=at)
        own = [other for other in self._seen if other.name == name]
        if len(own) >= MAX_SCREENS_OF_ONE:
            del self._seen[own[0]]
        elif len(self._seen) >= MAX_SCREENS:
            del self._seen[next(iter(self._seen))]
        self._seen[screen] = _Seen(replace(viewer, deciding=deciding), self._monotonic())

    def of(self, plan_id: str) -> tuple[Viewer, ...]:
        """Who came first comes first."""
        self._forget()
        found = (seen.viewer for screen, seen in self._seen.items() if screen.plan_id == plan_id)
        return tuple(sorted(found, key=lambda viewer: (viewer.since, viewer.name, viewer.session)))

    def _forget(self) -> None:
        oldest = self._monotonic() - FORGOTTEN_SECONDS
        for screen in [screen for screen, seen in self._seen.items() if seen.heard < oldest]:
            del self._seen[screen]


@dataclass
class _Drift:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    told: str = ""
    asked_at: float = float("-inf")


class Drifts:
    """Whether plans have drifted, as `ask` said a moment ago."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[str, _Drift] = {}

    async def of(self, plan: Plan, ask: Callable[[Plan], Awaitable[str]]) -> str:
        """Raises what `ask` raises."""
        self._forget()
        known = self._known.setdefault(plan.id, _Drift())
        async with known.lock:
            if self._monotonic() - known.asked_at >= DRIFT_KEPT_SECONDS:
                known.told = await ask(plan)
                known.asked_at = self._monotonic()
            return known.told

    def _forget(self) -> None:
        oldest = self._monotonic() - DRIFT_KEPT_SECONDS
        for plan_id, known in tuple(self._known.items()):
            if known.asked_at < oldest and not known.lock.locked():
                del self._known[plan_id]


VIEWERS = web.AppKey("viewers", Viewers)
DRIFTS = web.AppKey("drifts", Drifts)


def prepare(app: web.Application) -> None:
    """Before the application runs: nobody looks yet."""
    app[VIEWERS] = Viewers()
    app[DRIFTS] = Drifts()


@dataclass(frozen=True, kw_only=True)
class PresenceRequest:
    session: str
    """What the screen calls itself: 8 to 64 letters, digits and dashes, another for each screen."""
    deciding: bool = False
    """The first of the two keys has been pressed. Only an operator's counts."""


async def look(request: web.Request) -> web.Response:
    body = await read_body(request, PresenceRequest)
    if not _SESSION.match(body.session):
        raise RequestInvalid("session", "not 8 to 64 letters, digits and dashes")
    services, viewers, identity = request.app[SERVICES], request.app[VIEWERS], request[IDENTITY]
    plan_id = request.match_info["id"]
    plan = await services.store.read(lambda con: plans.get(con, plan_id))
    may_decide = identity.may(Role.OPERATOR)
    viewers.looks(
        plan_id,
        name=identity.name,
        session=body.session,
        deciding=body.deciding and may_decide,
        at=services.now(),
    )
    drift = await request.app[DRIFTS].of(plan, services.pipeline.drift)
    return answer(Presence(viewers=viewers.of(plan_id), may_decide=may_decide, drift=drift))


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/api/v1/plans/{id}/presence",
        handler=look,
        role=Role.VIEWER,
        summary="Say each 5 s that a screen shows this plan; learn who else looks, and whether it has drifted.",
        body=PresenceRequest,
        answer=Presence,
        refusals=(404,),
    ),
)
