"""Errors as answers: `application/problem+json`, RFC 9457 (https://www.rfc-editor.org/rfc/rfc9457).

The status follows from the error's class alone. Never 429 and never a redirect: Alertmanager drops what it is told so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from aiohttp import web

from responder import wire
from responder.detector.alertmanager import WebhookInvalid
from responder.detector.webhook import BodyTooLarge
from responder.domain.errors import (
    ApprovalMismatch,
    ClusterUnavailable,
    ConfigError,
    FieldConflict,
    Forbidden,
    IllegalTransition,
    NotFound,
    ObjectGone,
    PlanInvalid,
    PlanStale,
    PolicyViolation,
    QueueFull,
    ResponderError,
    StoreUnavailable,
    TemporaryError,
)
from responder.domain.views import Problem
from responder.query.runner import StatementTooLarge
from responder.query.statement import StatementRefused

CONTENT_TYPE = "application/problem+json"

STATUS_BY_ERROR: Mapping[type[ResponderError], int] = {
    WebhookInvalid: 400,
    StatementRefused: 400,
    StatementTooLarge: 422,
    BodyTooLarge: 413,
    NotFound: 404,
    PolicyViolation: 403,
    ApprovalMismatch: 409,
    PlanStale: 409,
    PlanInvalid: 409,
    FieldConflict: 409,
    ObjectGone: 409,
    IllegalTransition: 409,
    ConfigError: 422,
    Forbidden: 502,
    ClusterUnavailable: 503,
    StoreUnavailable: 503,
    QueueFull: 503,
    TemporaryError: 503,
}


class RequestInvalid(ResponderError):
    """The request is understood and wrong. `field` is what its sender has to change."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


def problem_of(exc: ResponderError, *, instance: str) -> web.Response | None:
    """The answer to an error of ours; None for one that no request should cause."""
    if isinstance(exc, RequestInvalid):
        return problem(422, str(exc), kind="request-invalid", instance=instance, errors={exc.field: exc.problem})
    status = next((STATUS_BY_ERROR[kind] for kind in type(exc).__mro__ if kind in STATUS_BY_ERROR), 0)
    if not status:
        return None
    retry_after = exc.delay_seconds if isinstance(exc, TemporaryError) else 0.0
    return problem(status, str(exc), kind=_dashed(type(exc).__name__), instance=instance, retry_after=retry_after)


def problem(
    status: int,
    detail: str,
    *,
    kind: str,
    instance: str = "",
    retry_after: float = 0.0,
    errors: Mapping[str, str] | None = None,
) -> web.Response:
    """`kind` is a stable word for programs; `detail` a sentence for people; `retry_after` in seconds, for 503."""
    document = Problem(
        type=f"urn:clopus:problem:{kind}",
        title=kind.replace("-", " "),
        status=status,
        detail=detail,
        instance=instance,
        errors=dict(errors or {}),
    )
    headers = {"Retry-After": str(max(1, math.ceil(retry_after)))} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="clopus"'
    return web.Response(status=status, body=wire.dumps(document), content_type=CONTENT_TYPE, headers=headers)


def _dashed(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
