"""The application: every route from its table, behind the middlewares."""

from __future__ import annotations

from aiohttp import web

from responder.api import (
    approvals,
    audit,
    changes,
    executions,
    health,
    incidentlist,
    incidents,
    mode,
    presence,
    query,
    recordings,
    reports,
    rules,
    status,
    stream,
    watches,
)
from responder.api.auth import Role
from responder.api.endpoint import ROUTES, Endpoint, RouteTable, answer
from responder.api.middlewares import answer_problems, guard, measure
from responder.api.openapi import describe
from responder.api.requests import Query
from responder.api.services import SERVICES, Services
from responder.detector.webhook import WebhookLimits, webhook_handler
from responder.domain.views import Ingested

WEBHOOK_PATH = "/webhook/alertmanager"


def build_app(services: Services) -> web.Application:
    """The API over `services`. Serve it with `listener.Listener`, which has the limits that an application has not."""
    endpoints = (_webhook(services), *ENDPOINTS)
    app = web.Application(middlewares=[measure, answer_problems, guard], client_max_size=services.webhook_max_bytes)
    app[SERVICES] = services
    app[ROUTES] = RouteTable.of(endpoints)
    stream.prepare(app)
    app[rules.RECORDS] = rules.RuleRecords()
    presence.prepare(app)
    for endpoint in endpoints:
        app.router.add_route(endpoint.method, endpoint.path, endpoint.handler)
    return app


async def openapi(request: web.Request) -> web.Response:
    Query(request, ())
    return answer(describe(request.app[ROUTES].endpoints, version=request.app[SERVICES].version))


_OPENAPI = Endpoint(
    method="GET",
    path="/openapi.json",
    handler=openapi,
    role=Role.VIEWER,
    summary="This description.",
    answer=None,
)

ENDPOINTS = (
    *incidentlist.ENDPOINTS,
    *incidents.ENDPOINTS,
    *recordings.ENDPOINTS,
    *reports.ENDPOINTS,
    *approvals.ENDPOINTS,
    *presence.ENDPOINTS,
    *executions.ENDPOINTS,
    *mode.ENDPOINTS,
    *audit.ENDPOINTS,
    *changes.ENDPOINTS,
    *rules.ENDPOINTS,
    *watches.ENDPOINTS,
    *query.ENDPOINTS,
    *status.ENDPOINTS,
    *stream.ENDPOINTS,
    *health.ENDPOINTS,
    _OPENAPI,
)
"""All but the webhook's, which is made for its services."""


def _webhook(services: Services) -> Endpoint:
    take = webhook_handler(
        store=services.store,
        now=services.now,
        accepting=lambda: not services.not_ready(),
        on_accepted=services.pipeline.alerts_accepted,
        on_too_large=services.on_too_large,
        metrics=services.metrics,
        limits=WebhookLimits(
            max_bytes=services.webhook_max_bytes,
            max_pending=services.webhook_max_pending,
            max_pending_bytes=services.webhook_max_pending_bytes,
            body_timeout_seconds=services.body_timeout_seconds,
        ),
    )

    async def post_alerts(request: web.Request) -> web.Response:
        return await take(request)

    return Endpoint(
        method="POST",
        path=WEBHOOK_PATH,
        handler=post_alerts,
        role=Role.WEBHOOK,
        summary="Alertmanager's webhook, version 4, and Grafana's. A 2xx means committed to disk.",
        answer=Ingested,
        refusals=(400, 413, 503),
    )
