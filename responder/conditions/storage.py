"""What a PersistentVolumeClaim waits for or has lost.

A claim of a class that binds at the first consumer waits without a fault, and the class's binding mode is not known
here. It waits for storage, and not for a pod, where it names its volume, has no class, or carries an annotation that
the volume controller or the scheduler writes when provisioning begins. Refusals of a provisioner come as events.
Fields: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from responder.conditions.messages import moment
from responder.conditions.model import Condition, Severity, Surroundings
from responder.conditions.statusconditions import is_deleted, sentence, status_condition
from responder.domain.manifest import Manifest, mapping, ref_of, text

NAMES: Mapping[str, str] = {
    "ClaimLost": "The volume of a bound claim is gone",
    "ClaimModifyFailed": "A claim's volume could not be given other attributes",
    "ClaimPending": "A claim has no volume yet",
    "ClaimResizeFailed": "A claim's volume could not be resized",
    "ClaimResizePending": "A claim's file system waits for a pod to be started before it grows",
}

PENDING_SECONDS = 300.0
IDLE_SECONDS = 900.0
RESIZE_PENDING_SECONDS = 600.0
FAILED_SECONDS = 300.0

SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Set by the scheduler: a pod that needs the claim has its node, and provisioning may begin."""
_PROVISIONER = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")

_FAILURES = (
    ("ControllerResizeError", "ClaimResizeFailed", "could not be resized"),
    ("NodeResizeError", "ClaimResizeFailed", "could not be resized on its node"),
    ("ModifyVolumeError", "ClaimModifyFailed", "could not be given other attributes"),
)


def conditions(body: Manifest, around: Surroundings) -> tuple[Condition, ...]:
    if text(body, "kind") != "PersistentVolumeClaim" or is_deleted(body):
        return ()
    match text(body, "status", "phase"):
        case "Pending":
            return (_pending(body),)
        case "Lost":
            return (_lost(body),)
        case _:
            return (*_failures(body), *_resize_pending(body))


def _pending(body: Manifest) -> Condition:
    storage_class, volume = text(body, "spec", "storageClassName"), text(body, "spec", "volumeName")
    reason = _what_it_waits_for(body)
    of_class = f" of class {storage_class}" if storage_class else ""
    return Condition(
        name="ClaimPending",
        about=ref_of(body),
        severity=Severity.WARNING if reason else Severity.INFO,
        summary=sentence(
            f"{_title(body)}{of_class} has no volume",
            reason or "provisioning has not begun, perhaps only for want of a pod that uses it",
        ),
        since=_pending_since(body),
        age_seconds=PENDING_SECONDS if reason else IDLE_SECONDS,
        causes=(
            *_own_key(body),
            *((f"PersistentVolume/{volume}",) if volume else ()),
            *((f"StorageClass/{storage_class}",) if storage_class else ()),
        ),
    )


def _what_it_waits_for(body: Manifest) -> str:
    """'' where it may only wait for its first consumer."""
    annotations = mapping(body, "metadata", "annotations")
    if volume := text(body, "spec", "volumeName"):
        return f"volume {volume} is not bound to it"
    if not text(body, "spec", "storageClassName"):
        return "it names no storage class, and no volume fits"
    if provisioner := next((name for key in _PROVISIONER if (name := text(annotations, key))), ""):
        return f"provisioner {provisioner} has made none"
    if node := text(annotations, SELECTED_NODE):
        return f"none has been made for node {node}"
    return ""


def _pending_since(body: Manifest) -> datetime | None:
    """A claim is pending from its creation, but one with a selected node may have waited for its pod until just now."""
    if text(body, "metadata", "annotations", SELECTED_NODE):
        return None
    return moment(body, "metadata", "creationTimestamp")


def _lost(body: Manifest) -> Condition:
    volume = text(body, "spec", "volumeName")
    return Condition(
        name="ClaimLost",
        about=ref_of(body),
        severity=Severity.CRITICAL,
        summary=f"{_title(body)} has lost its volume{f' {volume}' if volume else ''}",
        causes=(*_own_key(body), *((f"PersistentVolume/{volume}",) if volume else ())),
    )


def _failures(body: Manifest) -> Iterator[Condition]:
    told: set[str] = set()
    for kind, name, fact in _FAILURES:
        found = status_condition(body, kind)
        if found.holds and name not in told:
            told.add(name)
            yield Condition(
                name=name,
                about=ref_of(body),
                summary=sentence(f"The volume of {_title(body)} {fact}", found.words),
                since=found.since,
                age_seconds=FAILED_SECONDS,
                causes=_own_key(body),
            )


def _resize_pending(body: Manifest) -> Iterator[Condition]:
    pending = status_condition(body, "FileSystemResizePending")
    if pending.holds:
        yield Condition(
            name="ClaimResizePending",
            about=ref_of(body),
            severity=Severity.INFO,
            summary=sentence(f"The file system of {_title(body)} has not grown yet", pending.words),
            since=pending.since,
            age_seconds=RESIZE_PENDING_SECONDS,
            causes=_own_key(body),
        )


def _own_key(body: Manifest) -> tuple[str, ...]:
    return (ref_of(body).key,)


def _title(body: Manifest) -> str:
    return f"PersistentVolumeClaim {text(body, 'metadata', 'name')}"
