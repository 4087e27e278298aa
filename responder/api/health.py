"""Liveness, readiness and metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from responder.api.auth import Role
from responder.api.endpoint import Endpoint, answer
from responder.api.services import SERVICES
from responder.domain.views import Health


async def healthz(request: web.Request) -> web.Response:
    """The event loop turns and no task has died. Whatever a restart would not mend is readiness' matter."""
    dead = request.app[SERVICES].dead()
    if dead:
        return answer(Health(status="unavailable", reasons=(f"the {dead} task has ended",)), status=503)
    return answer(Health(status="ok"))


async def readyz(request: web.Request) -> web.Response:
    reasons = request.app[SERVICES].not_ready()
    if reasons:
        return answer(Health(status="unavailable", reasons=reasons), status=503)
    return answer(Health(status="ok"))


async def metrics(request: web.Request) -> web.StreamResponse:
    return await make_aiohttp_handler(request.app[SERVICES].metrics.registry)(request)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/healthz",
        handler=healthz,
        role=None,
        summary="Is the process alive?",
        answer=Health,
        refusals=(503,),
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=readyz,
        role=None,
        summary="Does it take alerts? If not, why?",
        answer=Health,
        refusals=(503,),
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=metrics,
        role=Role.VIEWER,
        summary="Metrics in the Prometheus text format.",
        answer=None,
    ),
)
