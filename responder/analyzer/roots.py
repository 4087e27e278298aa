"""From the object an alert names to the one that answers for it: pod -> ReplicaSet -> Deployment.

An owner is followed only when it exists under the uid that the reference names and, where it selects pods, selects the
child: whoever may write a pod may write any ownerReferences on it. A controller of a kind that is not known here (a
custom resource) ends the way at the last known object.
https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.cluster.protocol import Cluster
from responder.domain.errors import Forbidden, ObjectGone, PermanentError
from responder.domain.manifest import LiveObject, controller_of, items, mapping, number, text
from responder.domain.refs import ObjectRef
from responder.domain.selector import picks

MAX_OWNERS = 5
_OWNING_KINDS = frozenset({"ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"})
_API_GROUPS = frozenset({"apps/v1", "batch/v1"})


async def resolve_root(cluster: Cluster, ref: ObjectRef) -> ObjectRef:
    """The object at the top, with uid; `ref` itself where nothing more can be known.

    Raises:
        ClusterUnavailable: nothing is known now, and asking again may help.
    """
    try:
        live = await cluster.get(ref)
    except ObjectGone:
        return await _root_by_name(cluster, ref) if ref.kind == "Pod" else ref
    except Forbidden:
        return ref
    return await _climb(cluster, live)


async def _climb(cluster: Cluster, live: LiveObject) -> ObjectRef:
    seen = {live.ref.uid}
    for _ in range(MAX_OWNERS):
        owner = _controller(live)
        if owner is None or owner.uid in seen:
            break
        try:
            above = await cluster.get(owner)
        except PermanentError:
            break
        if above.ref.uid != owner.uid or not _selects(above, live):
            break
        seen.add(above.ref.uid)
        live = above
    return live.ref


def _controller(live: LiveObject) -> ObjectRef | None:
    owner = controller_of(live.body)
    if owner is None or owner.kind not in _OWNING_KINDS or not owner.uid:
        return None
    groups = {
        text(entry, "apiVersion")
        for entry in items(live.body, "metadata", "ownerReferences")
        if text(entry, "uid") == owner.uid
    }
    return owner if groups <= _API_GROUPS else None


def _selects(owner: LiveObject, child: LiveObject) -> bool:
    return picks(mapping(owner.body, "spec", "selector"), child.labels)


async def _root_by_name(cluster: Cluster, pod: ObjectRef) -> ObjectRef:
    """A pod that is gone: what could have made it, by the names that controllers give to pods."""
    for candidate in _makers(pod):
        try:
            live = await cluster.get(candidate)
        except PermanentError:
            continue
        if candidate.kind == "StatefulSet" and not _has_ordinal(live, pod):
            continue
        return await _climb(cluster, live)
    return pod


def _makers(pod: ObjectRef) -> Iterator[ObjectRef]:
    """`web-6d4cf56db6-x7k2p` -> ReplicaSet, then Deployment `web`; `db-0` -> StatefulSet `db`; `agent-x7k2p` -> ..."""
    parts = pod.name.split("-")
    for cut, kinds in ((1, ("ReplicaSet",)), (2, ("Deployment",)), (1, ("StatefulSet", "DaemonSet", "Job"))):
        name = "-".join(parts[:-cut])
        for kind in kinds:
            if name and (kind != "StatefulSet" or parts[-1].isdigit()):
                yield ObjectRef(kind=kind, namespace=pod.namespace, name=name)


def _has_ordinal(live: LiveObject, pod: ObjectRef) -> bool:
    start = number(live.body, "spec", "ordinals", "start")
    return start <= int(pod.name.rpartition("-")[2]) < start + number(live.body, "spec", "replicas", default=1) + 100
