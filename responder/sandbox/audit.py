"""The record of every request, for tests that ask which changes took effect.

The fields are those of a real server's audit events, so that the same question can be put to both.
Source: https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_HARMLESS = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "tokenreviews"})


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One answered request."""

    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    dry_run: bool
    code: int
    received: datetime
    answered: datetime
    body: Any
    """The request's JSON for writes, else None."""
    changed: bool
    """The write stored something: neither refused, nor a dry run, nor without an effect."""

    @property
    def is_write(self) -> bool:
        return self.verb in WRITE_VERBS and self.resource not in _HARMLESS
