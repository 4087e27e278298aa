"""From an object that a watch shows to the one that answers for it: pod -> ReplicaSet -> Deployment. Pure.

The same way as `analyzer.roots` goes by reading the API, here over what the watches hold. A controller that they hold
is followed only under the uid that the reference names and where it selects its child; one that they do not hold (it
is not watched, or not listed yet) is taken at the reference's word, because its absence proves nothing. Whether it
exists is asked of the API before anything is done about it.
https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from responder.domain.manifest import Manifest, controller_of, items, mapping, text
from responder.domain.refs import ObjectRef
from responder.domain.selector import picks

MAX_OWNERS = 5
TEMPLATE_HASH = "pod-template-hash"
"""A Deployment puts it on its pods and at the end of its ReplicaSets' names."""
_OWNING_KINDS = frozenset({"ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"})
_API_GROUPS = frozenset({"apps/v1", "batch/v1", ""})
"""Empty: the reference was trimmed."""

Known = Callable[[str, str, str], Manifest | None]
"""Kind, namespace, name: the object as the watches hold it; None where they do not."""


def root_of(ref: ObjectRef, body: Manifest, known: Known) -> ObjectRef:
    """The object at the top; `ref` itself where no controller of a known kind owns it.

    The root has a uid unless only its name could be told: a Deployment behind a ReplicaSet that is not held.
    """
    live = ref if ref.uid else replace(ref, uid=text(body, "metadata", "uid"))
    seen = {live.uid}
    for _ in range(MAX_OWNERS):
        owner = _controller(body)
        if owner is None or owner.uid in seen:
            break
        above = known(owner.kind, owner.namespace, owner.name)
        if above is None:
            return _unheld(owner, body, known)
        if text(above, "metadata", "uid") != owner.uid or not _selects(above, body):
            break
        seen.add(owner.uid)
        live, body = owner, above
    return live


def _controller(body: Manifest) -> ObjectRef | None:
    owner = controller_of(body)
    if owner is None or owner.kind not in _OWNING_KINDS or not owner.uid:
        return None
    groups = {
        text(entry, "apiVersion")
        for entry in items(body, "metadata", "ownerReferences")
        if text(entry, "uid") == owner.uid
    }
    return owner if groups <= _API_GROUPS else None


def _selects(owner: Manifest, child: Manifest) -> bool:
    return picks(mapping(owner, "spec", "selector"), mapping(child, "metadata", "labels"))


def _unheld(owner: ObjectRef, child: Manifest, known: Known) -> ObjectRef:
    """The Deployment of a ReplicaSet that is not held, by the hash that both names share; else the owner itself."""
    template_hash = text(child, "metadata", "labels", TEMPLATE_HASH)
    name = owner.name.removesuffix(f"-{template_hash}") if template_hash else ""
    if owner.kind != "ReplicaSet" or name in ("", owner.name):
        return owner
    deployment = known("Deployment", owner.namespace, name)
    if deployment is None:
        return ObjectRef(kind="Deployment", namespace=owner.namespace, name=name)
    if not _selects(deployment, child):
        return owner
    return ObjectRef(kind="Deployment", namespace=owner.namespace, name=name, uid=text(deployment, "metadata", "uid"))
