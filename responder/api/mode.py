"""The brakes: ceilings, kill switch, breakers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import IDENTITY, Endpoint, answer
from responder.api.problems import RequestInvalid
from responder.api.requests import Query, read_body
from responder.api.services import SERVICES
from responder.domain.mode import ModeSettings
from responder.domain.refs import is_namespace_name
from responder.domain.rule import Mode


@dataclass(frozen=True, kw_only=True)
class ModeChange:
    """What is absent stays as it is: forgetting to repeat the kill switch must not release it."""

    ceiling: Mode | None = None
    namespaces: Mapping[str, Mode] | None = None
    """Replaces all ceilings of single namespaces."""
    kill_switch: bool | None = None
    reset_breakers: bool = False
    """A human has looked: autonomous mode may come back where breakers had lowered it."""
    reason: str = ""
    seen: str = ""
    """Fingerprint of the settings that were decided upon: where others hold by now, nothing is changed. Whoever pulls
    the kill switch does not wait for that."""

    def applied_to(self, settings: ModeSettings, *, now: datetime) -> ModeSettings:
        changed = replace(
            settings,
            ceiling=settings.ceiling if self.ceiling is None else self.ceiling,
            namespaces=settings.namespaces if self.namespaces is None else self.namespaces,
            kill_switch=settings.kill_switch if self.kill_switch is None else self.kill_switch,
            reason=self.reason,
        )
        return replace(changed, breakers={}, breakers_reset_at=now) if self.reset_breakers else changed


async def get_mode(request: web.Request) -> web.Response:
    Query(request, ())
    return answer(request.app[SERVICES].pipeline.mode())


async def put_mode(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    change = await read_body(request, ModeChange)
    for namespace in change.namespaces or ():
        if not is_namespace_name(namespace):
            raise RequestInvalid("namespaces", f"{namespace[:64]!r} is no namespace name")
    now = services.now()
    changed = await services.pipeline.set_mode(
        lambda settings: change.applied_to(settings, now=now),
        request[IDENTITY].name,
        seen="" if change.kill_switch else change.seen,
    )
    return answer(changed)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/mode",
        handler=get_mode,
        role=Role.VIEWER,
        summary="Ceilings, kill switch and breakers in force.",
        answer=ModeSettings,
    ),
    Endpoint(
        method="PUT",
        path="/api/v1/mode",
        handler=put_mode,
        role=Role.OPERATOR,
        summary="Change ceilings, kill switch or breakers; absent fields stay as they are.",
        body=ModeChange,
        answer=ModeSettings,
        refusals=(409,),
    ),
)
