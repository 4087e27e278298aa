"""Refusals of the API server: one exception that carries a `metav1.Status`, and a constructor per reason.

The sentences are those a client meets on a real server, because people and code match on them.
Source: https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from responder.sandbox.resources import Resource


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One entry of `details.causes`; for validation, one faulty field."""

    reason: str
    message: str
    field: str = ""

    def as_json(self) -> dict[str, str]:
        cause = {"reason": self.reason, "message": self.message}
        return {**cause, "field": self.field} if self.field else cause


class ApiFailure(Exception):
    """A request the server refuses."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}

    def status(self) -> dict[str, Any]:
        """The response body."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> ApiFailure:
    return ApiFailure(404, "NotFound", f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def no_such_route() -> ApiFailure:
    return ApiFailure(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(resource: Resource, name: str) -> ApiFailure:
    message = f'{resource.qualified} "{name}" already exists'
    return ApiFailure(409, "AlreadyExists", message, details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> ApiFailure:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiFailure(409, "Conflict", message, details=_details(resource, name))


def stale(resource: Resource, name: str) -> ApiFailure:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def failed_precondition(resource: Resource, name: str, why: str) -> ApiFailure:
    """As `conflict`, but named by kind: deletions word it so."""
    details: dict[str, Any] = {"name": name, "kind": resource.kind}
    if resource.group:
        details["group"] = resource.group
    message = f'Operation cannot be fulfilled on {resource.qualified_kind} "{name}": {why}'
    return ApiFailure(409, "Conflict", message, details=details)


def untyped_apply(resource: Resource, namespace: str, name: str, path: str) -> ApiFailure:
    """An apply patch with a field that its type does not have; the server answers without a reason."""
    subject = f"{namespace}/{name}; {resource.api_version}, Kind={resource.kind}"
    message = f"failed to create typed patch object ({subject}): .{path}: field not declared in schema"
    return ApiFailure(500, "", message)


def apply_conflict(causes: Sequence[Cause], message: str) -> ApiFailure:
    return ApiFailure(409, "Conflict", message, details={"causes": [cause.as_json() for cause in causes]})


def forbidden(resource: Resource, name: str, why: str, *, causes: Sequence[Cause] = ()) -> ApiFailure:
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    details = _details(resource, name)
    if causes:
        details["causes"] = [cause.as_json() for cause in causes]
    return ApiFailure(403, "Forbidden", f"{subject} is forbidden: {why}", details=details)


def unauthorized() -> ApiFailure:
    return ApiFailure(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiFailure:
    return ApiFailure(400, "BadRequest", message)


def method_not_allowed() -> ApiFailure:
    message = "the server does not allow this method on the requested resource"
    return ApiFailure(405, "MethodNotAllowed", message, details={})


def unsupported_media_type() -> ApiFailure:
    return ApiFailure(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})


def too_large(limit: int) -> ApiFailure:
    message = f"Request entity too large: limit is {limit}"
    return ApiFailure(413, "RequestEntityTooLarge", message, details={})


def expired(message: str, *, continue_token: str = "") -> ApiFailure:
    metadata = {"continue": continue_token} if continue_token else None
    return ApiFailure(410, "Expired", message, metadata=metadata)


def too_many_requests(message: str, cause: Cause) -> ApiFailure:
    return ApiFailure(429, "TooManyRequests", message, details={"causes": [cause.as_json()]})


def internal(message: str) -> ApiFailure:
    details = {"causes": [{"message": message}]}
    return ApiFailure(500, "InternalError", f"Internal error occurred: {message}", details=details)


def unprocessable_patch() -> ApiFailure:
    """A JSON patch that does not fit the object: a failed `test`, a path that is not there."""
    message = "the server rejected our request due to an error in our request"
    return ApiFailure(422, "Invalid", message, details={})


def invalid(resource: Resource | None, name: str, causes: Sequence[Cause]) -> ApiFailure:
    """Validation errors. Without a resource it is the patch itself that is faulty: its kind and name stay empty."""
    sentences = [f"{cause.field}: {cause.message}" for cause in causes]
    reason = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    details: dict[str, Any] = {"name": name} if name else {}
    if resource is not None:
        if resource.group:
            details["group"] = resource.group
        details["kind"] = resource.kind
    details["causes"] = [cause.as_json() for cause in causes]
    kind = resource.qualified_kind if resource else ""
    return ApiFailure(422, "Invalid", f'{kind} "{name}" is invalid: {reason}', details=details)
