"""Names of Kubernetes objects. What a name may be is decided here; whether the object exists is the cluster's word."""

from __future__ import annotations

import re
from dataclasses import dataclass

# RFC 1123 subdomain, the widest form that object names take:
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]{0,251}[a-z0-9])?\Z")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")

CLUSTER_SCOPED = frozenset({"Node", "Namespace", "PersistentVolume", "StorageClass", "ClusterRole"})

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds that own a pod template and roll it out."""


@dataclass(frozen=True, kw_only=True, order=True)
class ObjectRef:
    """One object. `uid` is empty where only the name is known: such a reference reads, but never writes."""

    kind: str
    namespace: str = ""
    """Empty for cluster-scoped kinds."""
    name: str
    uid: str = ""

    @property
    def key(self) -> str:
        """`Kind/namespace/name`, without the uid: how people and queues name the object."""
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        return self.key

    @classmethod
    def of_key(cls, key: str) -> ObjectRef | None:
        """The object that a `key` names; None for text that is none."""
        match key.split("/"):
            case [kind, namespace, name] if kind and namespace and name:
                return cls(kind=kind, namespace=namespace, name=name)
            case [kind, name] if kind and name:
                return cls(kind=kind, name=name)
            case _:
                return None

    def without_uid(self) -> ObjectRef:
        return ObjectRef(kind=self.kind, namespace=self.namespace, name=self.name)

    def same_name(self, other: ObjectRef) -> bool:
        """True when both name the same place, whichever object lives there now."""
        return self.without_uid() == other.without_uid()


def is_object_name(text: str) -> bool:
    """True for a name that can stand in a request path without changing what the path means."""
    return _NAME.match(text) is not None and ".." not in text


def is_namespace_name(text: str) -> bool:
    return _NAMESPACE.match(text) is not None
