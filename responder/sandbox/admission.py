"""The admission plugins of a default cluster that matter here: what they add to an object, and what they refuse.

NamespaceLifecycle, LimitRanger, ServiceAccount, DefaultTolerationSeconds, Priority, PodSecurity and ResourceQuota.
Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

import secrets
from typing import Any

from responder.sandbox import limitrange, podsecurity, quota
from responder.sandbox.defaults import containers
from responder.sandbox.failures import Cause, forbidden, not_found
from responder.sandbox.objects import Object, Store
from responder.sandbox.resources import KINDS, NAMESPACE, POD, WORKLOAD_KINDS, Resource

_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS = 3607
_TOLERATED_SECONDS = 300
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LEVELS = ("privileged", "baseline", "restricted")


def random_suffix() -> str:
    """Five characters, as for generated names."""
    return "".join(secrets.choice(NAME_ALPHABET) for _ in range(5))


def require_namespace(store: Store, resource: Resource, obj: Object) -> None:
    """Raises `ApiFailure` when the object's namespace is not there, or on its way out."""
    name = obj["metadata"].get("namespace")
    if not name:
        return
    namespace = store.get(NAMESPACE, "", name)
    if namespace is None:
        raise not_found(NAMESPACE, name)
    if namespace["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {name} because it is being terminated"
        cause = Cause(
            reason="NamespaceTerminating", message=f"namespace {name} is being terminated", field="metadata.namespace"
        )
        raise forbidden(resource, obj["metadata"].get("name", ""), why, causes=(cause,))


def complete_pod(store: Store, pod: Object) -> None:
    """Fill in what admission adds to a new pod: service account, its token, limits, tolerations, priority."""
    spec = pod["spec"]
    limitrange.fill(store, pod)
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    namespace = pod["metadata"]["namespace"]
    account = store.get(KINDS["ServiceAccount"], namespace, name)
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden(POD, pod["metadata"].get("name", ""), why)
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if wanted:
        _mount_token(spec)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    _tolerate(spec)


def _mount_token(spec: Object) -> None:
    volume = f"kube-api-access-{random_suffix()}"
    used = False
    for container in containers(spec):
        mounts = container.setdefault("volumeMounts", [])
        if all(mount.get("mountPath") != _TOKEN_PATH for mount in mounts):
            mounts.append({"name": volume, "readOnly": True, "mountPath": _TOKEN_PATH})
            used = True
    if used:
        sources = [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [_namespace_file()]}},
        ]
        spec.setdefault("volumes", []).append({"name": volume, "projected": {"sources": sources, "defaultMode": 420}})


def _namespace_file() -> Object:
    return {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}


def _tolerate(spec: Object) -> None:
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(entry.get("key") in (key, None) and entry.get("effect") != "NoSchedule" for entry in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_SECONDS}
            )


def admit(store: Store, resource: Resource, obj: Object, *, new: bool) -> tuple[str, ...]:
    """The validating plugins. Returns warnings; raises `ApiFailure` 403."""
    if new and resource is POD:
        limitrange.require(store, obj)
    warnings = _pod_security(store, resource, obj, new=new)
    if new:
        quota.require_quota(store, resource, obj)
    return warnings


def _pod_security(store: Store, resource: Resource, obj: Object, *, new: bool) -> tuple[str, ...]:
    namespace = store.get(NAMESPACE, "", obj["metadata"].get("namespace", ""))
    labels = (namespace or {}).get("metadata", {}).get("labels") or {}
    enforced = _policy(labels, "enforce")
    warned = _policy(labels, "warn")
    if "pod-security.kubernetes.io/warn" not in labels:
        warned = max(warned, enforced, key=lambda policy: _LEVELS.index(policy[0]))
    if resource is POD and new:
        if found := podsecurity.violations(obj["spec"], enforced[0]):
            why = f'violates PodSecurity "{enforced[0]}:{enforced[1]}": {found}'
            raise forbidden(resource, obj["metadata"].get("name", ""), why)
        return _warning(obj["spec"], warned)
    if resource.kind in WORKLOAD_KINDS:
        return _warning(template_spec(obj), warned)
    return ()


def template_spec(workload: Object) -> Any:
    """The pod spec inside a workload; empty where there is none."""
    spec = workload.get("spec") or {}
    if workload["kind"] == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return (spec.get("template") or {}).get("spec") or {}


def _policy(labels: dict[str, str], mode: str) -> tuple[str, str]:
    level = labels.get(f"pod-security.kubernetes.io/{mode}", "privileged")
    version = labels.get(f"pod-security.kubernetes.io/{mode}-version", "latest")
    return (level if level in _LEVELS else "restricted", version)


def _warning(spec: Object, policy: tuple[str, str]) -> tuple[str, ...]:
    found = podsecurity.violations(spec, policy[0])
    return (f'would violate PodSecurity "{policy[0]}:{policy[1]}": {found}',) if found else ()
