"""From an API server's refusal, or from a failure on the way to it, to the error family of the domain.

The same status means different things to a read, to a dry run and to a write: after a 500 a read may be repeated,
while a write may have taken effect. Whoever catches a third-party exception raises what these functions return, `from`
it. Statuses: https://kubernetes.io/docs/reference/using-api/api-concepts/ and
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#http-status-codes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import aiohttp
import orjson
from kubernetes_asyncio.client.exceptions import ApiException, OpenApiException
from kubernetes_asyncio.config.config_exception import ConfigException

from responder.domain.errors import (
    ClusterUnavailable,
    FieldConflict,
    Forbidden,
    ObjectGone,
    PermanentError,
    PlanInvalid,
    PlanStale,
    ResponderError,
    VersionExpired,
    WriteOutcomeUnknown,
)
from responder.domain.manifest import Manifest, dig, items, text

DEFAULT_DELAY = 5.0  # seconds until a failed read is worth another try
LONGEST_DELAY = 60.0  # seconds; a server that asks for more is asked again anyway
LONGEST_MESSAGE = 600  # characters of the server's own words

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same read may succeed."""

# The connection did not come about, or there was no credential to send: the server has seen nothing.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ServerFingerprintMismatch,
    ConfigException,
)


class Call(StrEnum):
    READ = "read"
    DRY_RUN = "dry run"
    WRITE = "write"


def from_answer(
    call: Call, status: int, body: bytes, *, about: str, retry_after: float | None = None
) -> ResponderError:
    """The error for an answer outside 2xx. `about` says what was asked, `retry_after` is in seconds."""
    answer = _status_object(body)
    problem = f"{about}: {status} {_message(answer, body)}"
    if call is Call.READ and status == 410:
        return VersionExpired(problem)
    if status in (401, 404):
        return Forbidden(problem) if status == 401 else ObjectGone(problem)
    if status == 403:
        return PlanInvalid(problem) if call is not Call.READ and _admission_said_no(answer) else Forbidden(problem)
    if status == 429 and _budget_said_no(answer):
        return PlanInvalid(problem)
    if status == 429 or (call is not Call.WRITE and (status in RETRIED_STATUSES or status >= 500)):
        wish = min(retry_after or 0.0, LONGEST_DELAY)
        return ClusterUnavailable(problem, delay_seconds=_delay(retry_after), retry_after=wish)
    if status == 408 or status >= 500:
        return WriteOutcomeUnknown(problem)
    if 400 <= status < 500:
        return PermanentError(problem) if call is Call.READ else _refused_change(status, answer, problem)
    # Redirects are not followed: a write would be sent a second time, to someone else.
    return ClusterUnavailable(problem, delay_seconds=DEFAULT_DELAY)


def from_exception(call: Call, exc: Exception, *, about: str) -> ResponderError:
    """The error for a request that got no whole answer, or that the client library refused to make."""
    if isinstance(exc, ApiException) and exc.status:
        return from_answer(call, exc.status, _as_bytes(exc.body), about=about)
    problem = f"{about}: {type(exc).__name__}: {exc}"
    if isinstance(exc, OpenApiException):
        return PermanentError(problem)
    if call is Call.WRITE and not isinstance(exc, _NOT_SENT):
        return WriteOutcomeUnknown(problem)
    return ClusterUnavailable(problem, delay_seconds=DEFAULT_DELAY)


def _refused_change(status: int, answer: Manifest, problem: str) -> ResponderError:
    causes = {text(cause, "reason") for cause in items(answer, "details", "causes")}
    if status == 409:
        return FieldConflict(problem) if "FieldManagerConflict" in causes else PlanStale(problem)
    if status in (410, 412):
        return PlanStale(problem)
    # Validation names its object and its causes. A 422 without either is a patch that does not fit the object: a
    # `test` failed or a path is not there.
    if status == 422 and not dig(answer, "details", "name") and not causes:
        return PlanStale(problem)
    return PlanInvalid(problem)


def _admission_said_no(answer: Manifest) -> bool:
    # Authorization and admission both answer 403 with the same fields; only the authorizer speaks of a user.
    message = text(answer, "message")
    return bool(message) and not ("User " in message and " cannot " in message)


def _budget_said_no(answer: Manifest) -> bool:
    return any(text(cause, "reason") == "DisruptionBudget" for cause in items(answer, "details", "causes"))


def _delay(retry_after: float | None) -> float:
    return DEFAULT_DELAY if retry_after is None else min(max(retry_after, 0.0), LONGEST_DELAY)


def _status_object(body: bytes) -> Manifest:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, Mapping) else {}


def _message(answer: Manifest, body: bytes) -> str:
    words = "; ".join(_messages(answer)) or body[: 4 * LONGEST_MESSAGE].decode("utf-8", "replace").strip()
    return words if len(words) <= LONGEST_MESSAGE else words[:LONGEST_MESSAGE] + "…"


def _messages(answer: Manifest) -> Iterator[str]:
    causes = list(items(answer, "details", "causes"))
    if any(text(cause, "field") == "patch" for cause in causes):
        # The server quotes the whole patched object, environment values included, before it says what is wrong.
        yield from (text(cause, "message").rpartition('": ')[2] for cause in causes)
        return
    if message := text(answer, "message"):
        yield message
    yield from (text(cause, "message") for cause in causes if text(cause, "reason") == "DisruptionBudget")


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else b""
