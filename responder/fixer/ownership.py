"""Who else writes to an object, and whether they will take a change back.

Known by managedFields, and by the marks that delivery tools leave: labels and annotations of Helm, Argo CD and Flux.
Sources: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management,
https://helm.sh/docs/chart_best_practices/labels/, https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/,
https://fluxcd.io/flux/components/kustomize/kustomizations/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from responder.domain.manifest import FieldOwner, Json, LiveObject, Manifest, dig
from responder.domain.plan import Change

OWN_MANAGER = "clopus"

_REVERTING_MARKS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
_REVERTING_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}
_HELM_MARKS = ("meta.helm.sh/release-name",)

_BY_HAND = re.compile(r"(?:kubectl|clopus)(?:[-_].*)?\Z")
"""Managers that write when a person tells them to, not by themselves."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_CONTROLLER_NOTES = frozenset({"/metadata/annotations", "/metadata/annotations/deployment.kubernetes.io~1revision"})
"""What the Deployment controller writes beside the status."""

_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
}
"""What tells the items of a list apart: a position for a JSON patch, these for managedFields."""


def reverting_owner(live: LiveObject, change: Change) -> str:
    """Who sets the changed fields back by itself; '' where nobody is known to."""
    return _delivery_tool(live) or next(
        (
            owner.manager
            for owner in _owners_of(live, change)
            if owner.operation == "Apply" and not _BY_HAND.match(owner.manager)
        ),
        "",
    )


def ownership_warnings(live: LiveObject, change: Change) -> tuple[str, ...]:
    """What a person should know about the other writers before the change is made."""
    found = []
    if owner := reverting_owner(live, change):
        found.append(f"{owner} manages {live.ref} and will set the change back: mend it at its source as well")
    if _is_helm(live):
        found.append(f"{live.ref} belongs to a Helm release: its next upgrade will set the change back")
    if any(owner.subresource == "scale" and "/spec/replicas" in owner.paths for owner in live.owners):
        found.append(f"the replicas of {live.ref} are set by an autoscaler: this change leaves them alone")
    return tuple(found)


def last_writer_of(live: LiveObject, change: Change) -> str:
    """Which other manager last wrote the changed fields; the object, where nobody owns them. '' for nobody."""
    return _latest(_owners_of(live, change)) or last_other_writer(live)


def last_other_writer(live: LiveObject) -> str:
    """Which other manager last wrote anything that is decided about the object; '' for nobody."""
    return _latest(owner for owner in _others(live) if not owner.paths <= _CONTROLLER_NOTES)


def _latest(owners: Iterable[FieldOwner]) -> str:
    # Times are whole seconds: among equals the later entry of managedFields stands for the later write.
    ranked = [(owner.at or _LONG_AGO, place, owner.manager) for place, owner in enumerate(owners)]
    return max(ranked)[2] if ranked else ""


def field_path(body: Manifest, pointer: str) -> str:
    """The JSON pointer in the notation of `FieldOwner.paths`: list items by their merge key."""
    path, last = "", ""
    node: Json = body
    for token in (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]):
        below: Json
        if isinstance(node, list) and token.isdigit():
            below = dig(node, int(token))
            keys = [str(value) for key in _MERGE_KEYS.get(last, ()) if (value := dig(below, key)) is not None]
            path += f"[{','.join(keys) or token}]"
        else:
            below = dig(node, token)
            path += "/" + token.replace("~", "~0").replace("/", "~1")
        node, last = below, token
    return path


def _owners_of(live: LiveObject, change: Change) -> Iterator[FieldOwner]:
    touched = {field_path(live.body, op.path) for op in change.patch if op.op != "test"}
    for owner in _others(live):
        if any(_overlap(path, field) for path in owner.paths for field in touched):
            yield owner


def _others(live: LiveObject) -> Iterable[FieldOwner]:
    return (owner for owner in live.owners if not owner.subresource and owner.manager != OWN_MANAGER)


def _overlap(one: str, other: str) -> bool:
    return one == other or _is_under(one, other) or _is_under(other, one)


def _is_under(path: str, top: str) -> bool:
    return path.startswith(top) and path[len(top) : len(top) + 1] in ("/", "[")


def _delivery_tool(live: LiveObject) -> str:
    marks = (*live.annotations, *live.labels)
    tool = next((_REVERTING_MARKS[mark] for mark in marks if mark in _REVERTING_MARKS), "")
    return tool or next(
        (_REVERTING_MANAGERS[owner.manager] for owner in live.owners if owner.manager in _REVERTING_MANAGERS), ""
    )


def _is_helm(live: LiveObject) -> bool:
    return (
        live.labels.get("app.kubernetes.io/managed-by") == "Helm"
        or any(mark in live.annotations for mark in _HELM_MARKS)
        or any(owner.manager == "helm" for owner in live.owners)
    )
