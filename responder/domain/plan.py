"""Plans: a proposal the guard admitted, resolved against live objects, dry-run and hashed.

The digest is what a human approves: action, target uid, the state it was computed from, and every patch byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.domain.action import Action
from responder.domain.manifest import Json
from responder.domain.refs import ObjectRef
from responder.domain.rule import Risk

OPT_OUT_ANNOTATION = "clopus.dev/ignore"
"""`"true"` on an object or its namespace: Clopus proposes, but never writes."""


class Verb(StrEnum):
    PATCH = "patch"
    """JSON patch, RFC 6902."""
    EVICT = "evict"
    """`pods/eviction` with a uid precondition."""


@dataclass(frozen=True, kw_only=True)
class PatchOp:
    """One operation of a JSON patch. `value` is ignored by `remove`."""

    op: str
    """add, remove, replace or test."""
    path: str
    """JSON pointer, RFC 6901."""
    value: Json = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One write to one live object."""

    target: ObjectRef
    """With uid."""
    verb: Verb = Verb.PATCH
    resource_version: str
    """Version the patch was computed from; writing to any other version raises `PlanStale`."""
    base_hash: str
    """`manifest.base_hash` of the object: all but status, replicas and bookkeeping. Moves when someone changes it."""
    patch: tuple[PatchOp, ...] = ()
    inverse: tuple[PatchOp, ...] = ()
    """Restores the touched fields. Empty means irreversible, and needs a human approval."""
    replicas_at_risk: int = 0
    """Pods that the change may replace."""


class PlanState(StrEnum):
    PROPOSED = "proposed"
    """Waits for an approval."""
    APPROVED = "approved"
    APPLIED = "applied"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STALE = "stale"
    CANCELLED = "cancelled"
    """The alert resolved before anyone approved, or a newer plan took its place."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question the guard or the policy asked, and its answer."""

    name: str
    """Stable word: `action_allowed`, `risk_ceiling`, `budget_workload` ..."""
    passed: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    id: str
    incident_id: str
    investigation_id: str
    finding: str
    """`Finding.fault` of what it answers."""
    action: Action
    reason: str
    changes: tuple[Change, ...]
    diff: str
    """Unified diff of what the server answered to the dry run; control and bidi characters made visible."""
    risk: Risk
    reversible: bool
    warnings: tuple[str, ...] = ()
    """What the change does not restore, who owns the fields and may revert it."""
    restores_not: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    """Guard and policy, in order. All passed and mode autonomous: policy approves."""
    state: PlanState = PlanState.PROPOSED
    digest: str
    created_at: datetime
    expires_at: datetime
    approvers_needed: int = 1


@dataclass(frozen=True, kw_only=True)
class Approval:
    """`kind` policy means that every check passed in autonomous mode."""

    id: str
    plan_id: str
    digest: str
    approver: str
    kind: str
    """human or policy."""
    decided_at: datetime
    expires_at: datetime


def plan_digest(*, action: Mapping[str, Json], changes: tuple[Change, ...], diff: str) -> str:
    """SHA-256 over the canonical JSON of the action, every byte that would be sent, and the diff as shown; hex.

    `action` is the wire form. The `resource_version` stays out on purpose: a Deployment whose pods crash gets a new
    one at every status report, and no human could ever approve in time; `base_hash` moves exactly when anything but the
    status and the number of replicas changes.
    """
    material = {
        "action": action,
        "diff": diff,
        "changes": [
            {
                "target": [c.target.kind, c.target.namespace, c.target.name, c.target.uid],
                "verb": c.verb,
                "base": c.base_hash,
                "patch": [[op.op, op.path, op.value] for op in c.patch],
                "inverse": [[op.op, op.path, op.value] for op in c.inverse],
            }
            for c in changes
        ],
    }
    return hashlib.sha256(json.dumps(material, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PolicyVerdict:
    """The guard's and the policy's answer to one proposal."""

    admitted: bool
    """False: there will be no plan; the incident says why."""
    autonomous: bool
    """True: policy itself may approve."""
    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def objections(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)
