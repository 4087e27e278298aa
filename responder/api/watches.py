"""What is watched in the cluster, and what may not be."""

from __future__ import annotations

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.services import SERVICES
from responder.domain.views import WatchPage


async def list_watches(request: web.Request) -> web.Response:
    return answer(request.app[SERVICES].watches())


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/watches",
        handler=list_watches,
        role=Role.VIEWER,
        summary="The watches on the cluster, with their state.",
        answer=WatchPage,
    ),
)
