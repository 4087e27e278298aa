"""What keeps a Namespace from going away, and which ResourceQuota is used up.

Fields: https://kubernetes.io/docs/concepts/policy/resource-quotas/ and the conditions of
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from responder.conditions.messages import moment
from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import is_deleted, sentence, status_condition
from responder.domain.manifest import Json, Manifest, mapping, ref_of, text
from responder.domain.quantity import parse_quantity

NAMES: Mapping[str, str] = {
    "NamespaceTerminatingStuck": "A namespace has been terminating for long",
    "QuotaExhausted": "A ResourceQuota is used up",
}

TERMINATING_SECONDS = 300.0
EXHAUSTED_SECONDS = 300.0
LISTED = 5  # resources named in a summary

# The most telling first: a failing aggregated API keeps every namespace of the cluster.
_OBSTACLES = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
)
_BROKEN_GROUP = re.compile(r"\b([a-z0-9][-a-z0-9.]{0,252})/v[0-9]{1,3}(?:(?:alpha|beta)[0-9]{1,3})?: ")


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    match text(body, "kind"):
        case "Namespace":
            return tuple(_terminating(body))
        case "ResourceQuota":
            return tuple(_exhausted(body))
        case _:
            return ()


def _terminating(body: Manifest) -> Iterator[Condition]:
    if text(body, "status", "phase") != "Terminating" and not is_deleted(body):
        return
    obstacles = [found for kind in _OBSTACLES if (found := status_condition(body, kind)).holds]
    groups = {group for found in obstacles for group in _BROKEN_GROUP.findall(found.message)}
    yield Condition(
        name="NamespaceTerminatingStuck",
        about=ref_of(body),
        summary=sentence(
            f"Namespace {text(body, 'metadata', 'name')} does not go away", *(found.words for found in obstacles)
        ),
        since=moment(body, "metadata", "deletionTimestamp"),
        age_seconds=TERMINATING_SECONDS,
        causes=(*(f"APIGroup/{group}" for group in sorted(groups)), ref_of(body).key),
    )


def _exhausted(body: Manifest) -> Iterator[Condition]:
    used = mapping(body, "status", "used")
    full = sorted(
        f"{name} {used[name]} of {hard}"
        for name, hard in mapping(body, "status", "hard").items()
        if isinstance(name, str) and _is_full(used.get(name), hard)
    )
    if not full or is_deleted(body):
        return
    more = f" and {len(full) - LISTED} more" if len(full) > LISTED else ""
    yield Condition(
        name="QuotaExhausted",
        about=ref_of(body),
        severity=Severity.INFO,
        summary=sentence(f"ResourceQuota {text(body, 'metadata', 'name')} is used up", ", ".join(full[:LISTED]) + more),
        age_seconds=EXHAUSTED_SECONDS,
        causes=(ref_of(body).key,),
    )


def _is_full(used: Json, hard: Json) -> bool:
    """A limit of 0 forbids the resource on purpose, so it is never full."""
    amount, limit = _quantity(used), _quantity(hard)
    return amount is not None and limit is not None and 0 < limit <= amount


def _quantity(value: Json) -> Fraction | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_quantity(str(value)) if abs(value) < 10**18 else None
    return parse_quantity(value) if isinstance(value, str) else None
