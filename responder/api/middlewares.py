"""What happens to every request: measured, guarded, and its errors turned into answers. Outermost first:
`measure`, `answer_problems`, `guard`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from responder.api.auth import Identity, Role, host_allowed, origin_allowed
from responder.api.endpoint import IDENTITY, ROUTES
from responder.api.problems import problem, problem_of
from responder.api.services import SERVICES
from responder.domain.errors import ResponderError
from responder.telemetry import get_logger

log = get_logger("api")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Time every answer. Labels come from the route table, never from the request: their number is bounded."""
    started = time.monotonic()
    response = await handler(request)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    request.app[SERVICES].metrics.http_seconds.labels(
        route=_template(request) or "unmatched",
        method=request.method if request.method in _METHODS else "other",
        status=str(response.status),
    ).observe(time.monotonic() - started)
    return response


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become problems. Here is the API's one broad `except`: a fault of ours must not end in a bare page."""
    try:
        return await handler(request)
    except web.HTTPException as exc:
        return _framework_problem(exc, request)
    except ConnectionError:
        raise  # the client is gone: there is nobody to answer
    except Exception as exc:
        known = problem_of(exc, instance=request.path) if isinstance(exc, ResponderError) else None
        if known is not None:
            return known
        log.exception("request failed", route=_template(request), method=request.method)
        request.app[SERVICES].metrics.http_errors.inc()
        return problem(500, "an error of ours; the log has it", kind="internal-error", instance=request.path)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Host and Origin, then the credential and its role. The body has not been read yet."""
    services = request.app[SERVICES]
    roles, route = request.app[ROUTES].roles, (request.method, _template(request))
    needed = roles.get(route, Role.VIEWER)
    # A sender of alerts is no browser, and one that is refused over a name drops its alerts for good.
    if needed is not Role.WEBHOOK and not host_allowed(request.host, services.allowed_hosts):
        return problem(403, "this host name is not served here", kind="host-refused", instance=request.path)
    if not origin_allowed(request.headers.get(hdrs.ORIGIN, ""), request.host):
        return problem(403, "requests from other sites are refused", kind="origin-refused", instance=request.path)
    if needed is None:
        return await handler(request)
    identity = services.credentials.identify(request.headers.get(hdrs.AUTHORIZATION, ""))
    refusal = _refusal(request, identity, needed, known_route=route in roles)
    if refusal is not None or identity is None:
        if needed is Role.WEBHOOK:
            services.metrics.webhook_refused.labels(reason="unauthorized").inc()
        return refusal or problem(401, "a credential is needed", kind="unauthorized", instance=request.path)
    request[IDENTITY] = identity
    return await handler(request)


def _refusal(
    request: web.Request, identity: Identity | None, needed: Role, *, known_route: bool
) -> web.Response | None:
    if identity is None:
        return problem(401, "a credential is needed", kind="unauthorized", instance=request.path)
    if known_route and not identity.may(needed):
        detail = f"{identity.name} is {identity.role}; this needs {needed}"
        return problem(403, detail, kind="forbidden", instance=request.path)
    return None


def _template(request: web.Request) -> str:
    """The path as the route table spells it; '' for a path that no route knows."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def _framework_problem(exc: web.HTTPException, request: web.Request) -> web.Response:
    response = problem(
        exc.status, exc.reason, kind=exc.reason.lower().replace(" ", "-"), instance=request.path, retry_after=1.0
    )
    if hdrs.ALLOW in exc.headers:
        response.headers[hdrs.ALLOW] = exc.headers[hdrs.ALLOW]
    return response
