"""The least rights that Clopus needs, as RBAC manifests: per namespace one Role for reading, and one for the actions.

Pure: it prints, a person applies. Reading rights are the same for every install and stand here; those for writing come
from the enabled actions, which declare them. No cluster-wide right, no Secret, no exec, no way to make a pod.

Format: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import yaml

from responder.domain.action import Permission
from responder.domain.errors import PolicyViolation
from responder.domain.manifest import Json

Document: TypeAlias = dict[str, Json]

_LOOK = ("get", "list", "watch")

READ_PERMISSIONS: tuple[Permission, ...] = (
    *(
        Permission(resource=resource, verbs=_LOOK)
        for resource in (
            "configmaps",
            "events",
            "limitranges",
            "persistentvolumeclaims",
            "pods",
            "resourcequotas",
            "services",
        )
    ),
    Permission(resource="pods/log", verbs=("get",)),
    *(
        Permission(group="apps", resource=resource, verbs=_LOOK)
        for resource in ("controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets")
    ),
    Permission(group="autoscaling", resource="horizontalpodautoscalers", verbs=_LOOK),
    Permission(group="batch", resource="cronjobs", verbs=_LOOK),
    Permission(group="batch", resource="jobs", verbs=_LOOK),
    Permission(group="discovery.k8s.io", resource="endpointslices", verbs=_LOOK),
    Permission(group="policy", resource="poddisruptionbudgets", verbs=_LOOK),
)
"""What an investigation looks at. The namespace itself is added by name: its labels say which pods it admits."""

_NEVER = frozenset(
    {"*", "secrets", "serviceaccounts", "serviceaccounts/token", "pods/exec", "pods/attach", "pods/portforward"}
    | {"pods/ephemeralcontainers", "nodes/proxy", "services/proxy", "pods/proxy", "namespaces"}
)
_NEVER_GROUPS = frozenset(
    {"*", "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io", "certificates.k8s.io"}
)
_NEVER_VERBS = frozenset({"*", "escalate", "bind", "impersonate", "deletecollection"})
_LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "clopus", "app.kubernetes.io/component": "rbac"}


def manifest(
    *,
    kinds: Sequence[str],
    namespaces: Sequence[str],
    service_account: str,
    own_namespace: str,
    permissions: Sequence[Permission],
) -> list[Document]:
    """Roles and their bindings for each namespace, in a stable order.

    `kinds` are the enabled actions, for people to read; `permissions` what these need. Without any, Clopus only reads.

    Raises:
        PolicyViolation: a permission is one that no action may ever have.
    """
    for permission in permissions:
        _refuse_excess(permission)
    documents: list[Document] = []
    for namespace in sorted(set(namespaces)):
        subject: Document = {"kind": "ServiceAccount", "name": service_account, "namespace": own_namespace}
        reading = [_own_namespace_rule(namespace), *_rules(READ_PERMISSIONS)]
        documents.extend(_granted("clopus-reader", namespace, reading, subject))
        if permissions:
            actions = {"clopus.dev/actions": ",".join(sorted(set(kinds)))}
            documents.extend(_granted("clopus-fixer", namespace, _rules(permissions), subject, annotations=actions))
    return documents


def to_yaml(documents: Iterable[Document]) -> str:
    """The documents as one YAML stream; the same input gives the same bytes."""
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, width=120)


def _refuse_excess(permission: Permission) -> None:
    forbidden = (
        permission.resource in _NEVER
        or permission.group in _NEVER_GROUPS
        or not _NEVER_VERBS.isdisjoint(permission.verbs)
        or (permission.resource == "pods" and "create" in permission.verbs)
    )
    if forbidden:
        verbs = ", ".join(permission.verbs)
        raise PolicyViolation(
            f"no action may have the right to {verbs} {permission.resource} {permission.group}".strip()
        )


def _granted(
    role: str,
    namespace: str,
    rules: list[Json],
    subject: Document,
    *,
    annotations: Mapping[str, str] | None = None,
) -> tuple[Document, Document]:
    metadata: Document = {"name": role, "namespace": namespace, "labels": dict(_LABELS)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    api_version = "rbac.authorization.k8s.io/v1"
    return (
        {"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": api_version,
            "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": namespace, "labels": dict(_LABELS)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [dict(subject)],
        },
    )


def _own_namespace_rule(namespace: str) -> Document:
    """A Role can grant reading of the one namespace it lives in."""
    return {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get"]}


def _rules(permissions: Iterable[Permission]) -> list[Json]:
    """One rule per group and set of verbs, sorted."""
    verbs_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for permission in permissions:
        verbs_of[permission.group, permission.resource].update(permission.verbs)
    resources_of: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), verbs in sorted(verbs_of.items()):
        resources_of[group, tuple(sorted(verbs))].append(resource)
    return [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
        for (group, verbs), resources in sorted(resources_of.items())
    ]
