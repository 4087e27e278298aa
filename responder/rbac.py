"""The least rights that Clopus needs, as RBAC manifests: per namespace one Role for reading, and one for the actions.

Pure: it prints, a person applies. Reading rights are the same for every install and stand here; those for writing come
from the enabled actions, which declare them. No Secret, no exec, no way to make a pod, and nothing cluster-wide unless
it is asked for: then one ClusterRole, for reading only.

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
            "serviceaccounts",
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
    Permission(group="metrics.k8s.io", resource="pods", verbs=("get", "list")),
    Permission(group="networking.k8s.io", resource="ingresses", verbs=_LOOK),
    Permission(group="networking.k8s.io", resource="networkpolicies", verbs=_LOOK),
    Permission(group="policy", resource="poddisruptionbudgets", verbs=_LOOK),
    Permission(group="rbac.authorization.k8s.io", resource="rolebindings", verbs=_LOOK),
    Permission(group="rbac.authorization.k8s.io", resource="roles", verbs=_LOOK),
)
"""What an investigation and the record of changes look at. The namespace itself is added by name: its labels say which
pods it admits."""

CLUSTER_PERMISSIONS: tuple[Permission, ...] = (
    Permission(resource="namespaces", verbs=_LOOK),
    Permission(resource="nodes", verbs=_LOOK),
    Permission(resource="persistentvolumes", verbs=("get",)),
    Permission(group="storage.k8s.io", resource="storageclasses", verbs=("get",)),
)
"""What exists once per cluster. Without it, trouble of nodes and of namespaces goes unseen, and what stands behind a
claim as well."""

CHECK_PERMISSIONS: tuple[Permission, ...] = (Permission(group="cert-manager.io", resource="certificates", verbs=_LOOK),)
"""For the check `certificate_expiry`."""

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
    cluster: bool = False,
    everywhere: bool = False,
    checks: bool = False,
) -> list[Document]:
    """Roles and their bindings for each namespace, in a stable order.

    `kinds` are the enabled actions, for people to read; `permissions` what these need. Without any, Clopus only reads.
    `cluster` adds reading of nodes, namespaces, volumes and storage classes, `everywhere` besides of all that Clopus
    looks at in any namespace, `checks` what the proactive checks look at.

    Raises:
        PolicyViolation: a permission is one that no action may ever have.
    """
    for permission in permissions:
        _refuse_excess(permission)
    subject: Document = {"kind": "ServiceAccount", "name": service_account, "namespace": own_namespace}
    looks = (*READ_PERMISSIONS, *(CHECK_PERMISSIONS if checks else ()))
    documents: list[Document] = []
    if cluster or everywhere:
        wide = _rules((*CLUSTER_PERMISSIONS, *(looks if everywhere else ())))
        documents.extend(_granted("clopus-reader", "", wide, subject))
    for namespace in sorted(set(namespaces)):
        if not everywhere:
            reading = [_own_namespace_rule(namespace), *_rules(looks)]
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
    """The role and its binding; without a namespace, the kinds that hold for the whole cluster."""
    kind = "Role" if namespace else "ClusterRole"
    place = {"namespace": namespace} if namespace else {}
    metadata: Document = {"name": role, **place, "labels": dict(_LABELS)}
    binding: Document = {"name": role, **place, "labels": dict(_LABELS)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    api_version = "rbac.authorization.k8s.io/v1"
    return (
        {"apiVersion": api_version, "kind": kind, "metadata": metadata, "rules": rules},
        {
            "apiVersion": api_version,
            "kind": f"{kind}Binding",
            "metadata": binding,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
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
