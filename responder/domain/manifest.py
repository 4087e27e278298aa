"""Raw Kubernetes JSON: the one place of the domain where an object has no type yet.

Typed views of what Clopus understands are in `workload`; patches are computed on the raw form, because what is not
understood must survive untouched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from responder.domain.refs import ObjectRef

Json: TypeAlias = Any
"""What `json.loads` returns."""

Manifest: TypeAlias = Mapping[str, Json]
"""A Kubernetes object as JSON. Never changed in place."""

# Bookkeeping that the API server or a controller moves without anyone having changed the object.
EXECUTION_ANNOTATION = "clopus.dev/execution"
"""Written with every change of ours: after a crash it tells whether the write took effect."""

_BOOKKEEPING_ANNOTATIONS = frozenset(
    {EXECUTION_ANNOTATION, "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
)
_VOLATILE_METADATA = frozenset({"resourceVersion", "managedFields", "generation", "creationTimestamp", "selfLink"})


@dataclass(frozen=True, kw_only=True)
class FieldOwner:
    """One entry of managedFields: who last set which fields."""

    manager: str
    operation: str
    """Apply or Update."""
    subresource: str = ""
    at: datetime | None = None
    paths: frozenset[str] = frozenset()
    """Paths under spec and metadata, list items by merge key: `/spec/template/spec/containers[web]/image`."""


@dataclass(frozen=True, kw_only=True)
class LiveObject:
    """One object as the API server gave it, without managedFields (they are `owners`)."""

    ref: ObjectRef
    """With uid."""
    resource_version: str
    generation: int
    body: Manifest
    owners: tuple[FieldOwner, ...] = field(default=(), repr=False)

    @property
    def annotations(self) -> Mapping[str, str]:
        return mapping(self.body, "metadata", "annotations")

    @property
    def labels(self) -> Mapping[str, str]:
        return mapping(self.body, "metadata", "labels")


def decided(body: Manifest) -> Manifest:
    """The part of an object that people and controllers decide about.

    Status, managedFields, resourceVersion, generation and the annotations that controllers (and Clopus) keep for
    themselves stay out.
    """
    metadata = {key: value for key, value in mapping(body, "metadata").items() if key not in _VOLATILE_METADATA}
    annotations = {
        k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in _BOOKKEEPING_ANNOTATIONS
    }
    if annotations:
        metadata["annotations"] = annotations
    return {**{key: value for key, value in body.items() if key not in ("status", "metadata")}, "metadata": metadata}


def base_hash(body: Manifest) -> str:
    """SHA-256 of what is decided about an object; hex. Two reads give the same hash exactly when nobody changed it.

    The number of replicas of a workload stays out: an autoscaler moves it all day long, no action writes it, and a
    change or its undo is the same at any number. An action that did write it would need a precondition of its own.
    """
    material = json.dumps(without_replicas(decided(body)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()


def without_replicas(body: Manifest) -> Manifest:
    """The object without `spec.replicas` where it makes pods from a template: Deployment, StatefulSet, ReplicaSet."""
    spec = mapping(body, "spec")
    if "replicas" not in spec or "template" not in spec:
        return body
    return {**body, "spec": {key: value for key, value in spec.items() if key != "replicas"}}


def dig(body: Json, *path: str | int) -> Json:
    """The value at `path`, or None where any link is missing or of another shape."""
    for key in path:
        if isinstance(key, str) and isinstance(body, Mapping):
            body = body.get(key)
        elif (
            isinstance(key, int)
            and isinstance(body, Sequence)
            and not isinstance(body, str)
            and -len(body) <= key < len(body)
        ):
            body = body[key]
        else:
            return None
    return body


def mapping(body: Json, *path: str | int) -> Mapping[str, Json]:
    """The object at `path`; empty where there is none."""
    value = dig(body, *path)
    return value if isinstance(value, Mapping) else {}


def items(body: Json, *path: str | int) -> Iterator[Mapping[str, Json]]:
    """The objects of the list at `path`; whatever else stands in the list is passed over."""
    value = dig(body, *path)
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, Mapping))


def text(body: Json, *path: str | int) -> str:
    """The string at `path`; '' where there is none."""
    value = dig(body, *path)
    return value if isinstance(value, str) else ""


def number(body: Json, *path: str | int, default: int = 0) -> int:
    """The whole number at `path`; `default` where there is none."""
    value = dig(body, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def flag(body: Json, *path: str | int) -> bool:
    return dig(body, *path) is True


def strings(body: Json, *path: str | int) -> tuple[str, ...]:
    value = dig(body, *path)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(item for item in value if isinstance(item, str))
    return ()


def instant(body: Json, *path: str | int) -> datetime | None:
    """The RFC 3339 time at `path` in UTC; None where there is none."""
    value = text(body, *path)
    if not value:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def ref_of(body: Manifest, *, kind: str = "") -> ObjectRef:
    """The reference of an object; list items carry no kind, so the caller may give it."""
    return ObjectRef(
        kind=text(body, "kind") or kind,
        namespace=text(body, "metadata", "namespace"),
        name=text(body, "metadata", "name"),
        uid=text(body, "metadata", "uid"),
    )


def controller_of(body: Manifest) -> ObjectRef | None:
    """The owner that controls the object, with uid; None for one that nobody controls."""
    for owner in items(body, "metadata", "ownerReferences"):
        if flag(owner, "controller"):
            return ObjectRef(
                kind=text(owner, "kind"),
                namespace=text(body, "metadata", "namespace"),
                name=text(owner, "name"),
                uid=text(owner, "uid"),
            )
    return None
