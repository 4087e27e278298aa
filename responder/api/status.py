"""How the responder itself is, for the people who run it. Machines ask `/readyz` and `/metrics`."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.requests import Query
from responder.api.services import SERVICES
from responder.api.stream import STREAMS
from responder.domain.views import Status


async def get_status(request: web.Request) -> web.Response:
    """Answers also while nothing can be read from the database: that is when people ask."""
    Query(request, ())
    status = await request.app[SERVICES].status()
    return answer(replace(status, streams=len(request.app[STREAMS])))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/status",
        handler=get_status,
        role=Role.VIEWER,
        summary="Queues, store, breakers, budgets, backends, watches, mode: how the responder itself is.",
        answer=Status,
    ),
)
