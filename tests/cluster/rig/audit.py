"""The API server's audit log as values: who sent which verb to what, and whether it could take effect.

Format: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

# Requests of Clopus' own kind are kept whole; the control plane's own chatter is kept without bodies.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
  - level: Metadata
    userGroups: ["system:serviceaccounts:kube-system"]
  - level: RequestResponse
"""

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_STORES_NOTHING = frozenset({"authorization.k8s.io", "authentication.k8s.io"})  # reviews are created, never kept


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One finished request. Times are RFC 3339 with microseconds, as the server wrote them, so they sort as text."""

    audit_id: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    uri: str
    dry_run: bool
    code: int
    received_at: str
    completed_at: str
    request: Any
    """The body that was sent; null for reads and for the control plane's own requests."""
    response: Any

    @property
    def mutating(self) -> bool:
        """True for a request whose verb changes stored objects, a dry run and a refused one included."""
        return self.verb in _WRITES and self.group not in _STORES_NOTHING

    @property
    def effective(self) -> bool:
        """True when the request could change something: a write that was neither a dry run nor refused."""
        return self.mutating and not self.dry_run and 200 <= self.code < 300


def read_events(path: Path, *words: str) -> Iterator[AuditEvent]:
    """Every event in the order the server wrote them; a last line that is still being written is left out.

    With `words`, only those that hold each of them as a whole JSON string somewhere: the log of a long run is a
    gigabyte, and to look for bytes is far quicker than to decode.
    """
    wanted = [json.dumps(word).encode() for word in words]
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and all(word in line for word in wanted):
                yield _event(json.loads(line))


def written_since(path: Path, start: int, word: str) -> bool:
    """Whether `word` stands in what was written after byte `start`."""
    with path.open("rb") as log:
        log.seek(start)
        return word.encode() in log.read()


def _event(raw: dict[str, Any]) -> AuditEvent:
    target = raw.get("objectRef", {})
    request = raw.get("requestObject")
    return AuditEvent(
        audit_id=raw["auditID"],
        verb=raw["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        user=raw.get("user", {}).get("username", ""),
        user_agent=raw.get("userAgent", ""),
        uri=raw["requestURI"],
        dry_run=_is_dry_run(raw["requestURI"], request),
        code=raw.get("responseStatus", {}).get("code", 0),
        received_at=raw["requestReceivedTimestamp"],
        completed_at=raw["stageTimestamp"],
        request=request,
        response=raw.get("responseObject"),
    )


def _is_dry_run(uri: str, request: Any) -> bool:
    # Deletions and evictions may ask for it in the body instead of the query.
    if "All" in parse_qs(urlsplit(uri).query).get("dryRun", ()):
        return True
    if not isinstance(request, dict):
        return False
    options = request.get("deleteOptions", request)
    return isinstance(options, dict) and "All" in (options.get("dryRun") or ())
