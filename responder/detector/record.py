"""What of an object is kept in the record of changes: which kinds, which of their fields, and who wrote them last.

Kept is what people and controllers decide about. What a controller reports stays out (of nodes alone the conditions are
kept, because they explain failures), and so does the bookkeeping that moves without anybody having changed a thing.
Secrets are not recorded at all, and what looks like one elsewhere is taken out by `redaction`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from responder.domain.difference import below
from responder.domain.manifest import Json, Manifest, decided, dig, instant, items, mapping, text
from responder.redact import redact
from responder.redact.objects import redacted

RECORDED_KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "CronJob",
    "Service",
    "Ingress",
    "ConfigMap",
    "PersistentVolumeClaim",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "Role",
    "RoleBinding",
    "ServiceAccount",
    "Node",
    "Namespace",
)

MAX_OBJECT_BYTES = 262_144
_BINARY = "binaryData"

_MAX_MANAGER = 128
_DROPPED_METADATA = frozenset({"uid", "deletionGracePeriodSeconds"})

_BOOKKEEPING = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "control-plane.alpha.kubernetes.io/leader",
        "endpoints.kubernetes.io/last-change-trigger-time",
        "deployment.kubernetes.io/revision-history",
        "autoscaling.alpha.kubernetes.io/conditions",
        "autoscaling.alpha.kubernetes.io/current-metrics",
        "cluster-autoscaler.kubernetes.io/last-updated",
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.kubernetes.io/selected-node",
        "volume.kubernetes.io/storage-provisioner",
        "volume.beta.kubernetes.io/storage-provisioner",
        "meta.helm.sh/release-revision",
    }
)
"""Annotations that programs keep for themselves. The applied configuration repeats the object, secrets included."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    body: Manifest
    """Redacted."""
    digest: str
    """SHA-256 of what is decided about the object, before redaction; hex."""
    hidden: Mapping[str, str]
    """Path of what was redacted -> digest of what stood there."""
    too_large: bool
    """The body is over the limit and not to be kept."""
    partial: str = ""
    """What was left out on purpose, so that the object could not be restored from the body; '' for nothing."""

    @property
    def redacted(self) -> tuple[str, ...]:
        return tuple(self.hidden)

    @property
    def lost(self) -> str:
        """Why the object cannot be restored from this version; '' where it can."""
        if self.partial:
            return self.partial
        if self.hidden:
            shown = ", ".join(self.redacted[:5])
            more = f" and {len(self.hidden) - 5} more" if len(self.hidden) > 5 else ""
            return f"redacted: {shown}{more}"
        return ""


@dataclass(frozen=True, kw_only=True)
class Author:
    manager: str = ""
    """Empty: unknown."""
    at: datetime | None = None


def kept(kind: str, raw: Manifest, *, max_bytes: int = MAX_OBJECT_BYTES) -> Kept:
    """What the record holds of one version of an object."""
    part = recorded_part(kind, raw)
    salt = text(raw, "metadata", "uid")
    clean = redacted({key: value for key, value in part.items() if key != _BINARY}, salt=salt)
    body, hidden = clean.body, clean.hidden
    if mapping(part, _BINARY):
        sizes = {key: _size(value) for key, value in mapping(part, _BINARY).items()}
        body = {**body, _BINARY: sizes}
        hidden = {
            **hidden,
            **{below(_BINARY, key): _mark(salt, value) for key, value in mapping(part, _BINARY).items()},
        }
    return Kept(
        body=body,
        digest=digest_of(part),
        hidden=hidden,
        too_large=len(orjson.dumps(body)) > max_bytes,
        partial=_left_out(kind, raw),
    )


def recorded_part(kind: str, raw: Manifest) -> Manifest:
    """The decided part of an object. Not redacted: not to be stored or shown."""
    if kind == "Node":
        return _node(raw)
    body = dict(decided(raw))
    metadata = {key: value for key, value in body["metadata"].items() if key not in _DROPPED_METADATA}
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in _BOOKKEEPING}
    if annotations:
        metadata["annotations"] = annotations
    body["metadata"] = metadata
    body["kind"] = kind
    body.pop("apiVersion", None)  # items of a list carry none
    return body


def digest_of(part: Manifest) -> str:
    """SHA-256, hex: equal for two versions exactly when nothing decided has changed."""
    return hashlib.sha256(orjson.dumps(part, option=orjson.OPT_SORT_KEYS)).hexdigest()


def author(raw: Manifest, *, of_status: bool = False) -> Author:
    """Whoever wrote last, as managedFields tell it: the newest entry that is not about the status (or that is).

    Only the latest of a manager's writes is there, and a field removed by someone who never set one leaves no entry.
    """
    newest = Author()
    for entry in items(raw, "metadata", "managedFields"):
        if (text(entry, "subresource") == "status") is not of_status:
            continue
        at = instant(entry, "time")
        if newest.at is None or (at is not None and at >= newest.at):
            newest = Author(manager=redact(text(entry, "manager"))[:_MAX_MANAGER], at=at)
    return newest


def deleter(raw: Manifest) -> Author:
    """Nobody's name stands on a deletion; its time does where something held the object back."""
    return Author(at=instant(raw, "metadata", "deletionTimestamp"))


def _node(raw: Manifest) -> Manifest:
    taints = [
        {key: taint[key] for key in ("key", "value", "effect") if key in taint}
        for taint in items(raw, "spec", "taints")
    ]
    conditions = [
        {key: text(condition, key) for key in ("type", "status", "reason")}
        for condition in items(raw, "status", "conditions")
    ]
    spec: dict[str, Json] = {"taints": taints} if taints else {}
    if dig(raw, "spec", "unschedulable") is True:
        spec["unschedulable"] = True
    return {
        "kind": "Node",
        "metadata": {"name": text(raw, "metadata", "name"), "labels": dict(mapping(raw, "metadata", "labels"))},
        "spec": spec,
        "status": {"conditions": sorted(conditions, key=lambda condition: condition["type"])},
    }


def _left_out(kind: str, raw: Manifest) -> str:
    if kind == "Node":
        return "only labels, taints and conditions of a node are kept"
    if kind == "ConfigMap" and mapping(raw, _BINARY):
        return "binaryData is not kept"
    return ""


def _size(value: Json) -> str:
    """Of base64 text."""
    if not isinstance(value, str):
        return ""
    size = len(value) * 3 // 4 - value[-2:].count("=")
    return f"{size} bytes"


def _mark(salt: str, value: Json) -> str:
    return hashlib.sha256(f"{salt}\0{value}".encode()).hexdigest()[:16]
