"""What an incident's tools may look at: its namespace, kinds of a closed list, and the few cluster objects behind it.

Decided from the assignment alone, before any request. Everything else is `Refused`, whatever the cluster's own rights
would allow: Clopus may read more than the model that works on one incident needs to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from responder.analyzer.protocol import Assignment
from responder.analyzer.tools.arguments import OneOf, Refused, shown
from responder.domain.incident import Incident
from responder.domain.refs import CLUSTER_SCOPED, ObjectRef, is_namespace_name, is_object_name
from responder.domain.snapshot import Snapshot

NAMESPACED_KINDS = (
    "ConfigMap",
    "ControllerRevision",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "LimitRange",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "ReplicaSet",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)
CLUSTER_KINDS = ("Namespace", "Node", "PersistentVolume", "StorageClass")

_CLOSED_NAMESPACES = frozenset({"kube-system"})
"""Holds the credentials of the cluster itself."""

_SECRETS = "Secrets are never read. What a pod refers to shows in its spec; that a name is missing, in its events"
_NOT_READ: Mapping[str, str] = {
    "secret": _SECRETS,
    "secrets": _SECRETS,
    "event": "Events have a tool of their own",
    "podmetrics": "What pods use now is told by the tool top",
}

ANY_KIND = OneOf(values=(*NAMESPACED_KINDS, *CLUSTER_KINDS), because=_NOT_READ)
LISTED_KIND = OneOf(
    values=NAMESPACED_KINDS,
    because={
        **_NOT_READ,
        **{kind.lower(): "Cluster objects are read one by one, by name; no list of them" for kind in CLUSTER_KINDS},
    },
)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Of one incident."""

    incident: Incident
    namespace: str
    """Empty where the incident has none, or one that may not be looked into: then nothing namespaced is read."""
    nodes: frozenset[str] = frozenset()
    """On which the incident's pods ran when it was looked at."""

    @classmethod
    def of(cls, assignment: Assignment) -> Scope:
        root = assignment.incident.root
        nodes = {pod.node for pod in assignment.snapshot.pods} if assignment.snapshot is not None else set()
        if root is not None and root.kind == "Node":
            nodes.add(root.name)
        return cls(
            incident=assignment.incident,
            namespace=_namespace(assignment.incident, assignment.snapshot),
            nodes=frozenset(filter(is_object_name, nodes)),
        )

    def home(self) -> str:
        """The namespace. Raises Refused where there is none to look into."""
        if not self.namespace:
            raise Refused("this incident has no namespace that may be looked into: only its own cluster object is read")
        return self.namespace

    def ref(self, kind: str, name: str) -> ObjectRef:
        """The object of that name in the incident's reach. Of volumes and storage classes `objects` decides.

        Raises:
            Refused: it is not, or no object can be called so.
        """
        if not is_object_name(name):
            raise Refused(f"name {shown(name)} cannot be the name of an object")
        if kind in NAMESPACED_KINDS:
            return ObjectRef(kind=kind, namespace=self.home(), name=name)
        if kind not in CLUSTER_KINDS:
            raise Refused(f"kind {shown(kind)} is not looked at")
        if kind == "Node" and name not in self.nodes:
            known = ", ".join(sorted(self.nodes)) or "none"
            raise Refused(f"Node {name} runs no pod of this incident. Nodes that may be read: {known}")
        if kind == "Namespace" and name != self.home():
            raise Refused(f"Namespace {name} is not the incident's. The one that may be read: {self.home()}")
        return ObjectRef(kind=kind, name=name)


def _namespace(incident: Incident, snapshot: Snapshot | None) -> str:
    """Of the root object, else of the alert: a label is text from outside, so it has to be a name."""
    root = incident.root or (snapshot.root if snapshot is not None else None)
    if root is None:
        name = incident.namespace
    elif root.kind == "Namespace":
        name = root.name
    else:
        name = "" if root.kind in CLUSTER_SCOPED else root.namespace
    return name if is_namespace_name(name) and name not in _CLOSED_NAMESPACES else ""
