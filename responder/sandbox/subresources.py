"""The subresources with a body of their own: scale, binding, access reviews, tokens.

Source: https://kubernetes.io/docs/reference/kubernetes-api/
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from responder.sandbox.access import Attributes, User, is_allowed, rules_for
from responder.sandbox.failures import bad_request, conflict, invalid
from responder.sandbox.faults import invalid_value
from responder.sandbox.objects import Object, clone
from responder.sandbox.patches import json_patch, merge_patch
from responder.sandbox.registry import Outcome, PatchType, Registry, Write, timestamp
from responder.sandbox.resources import POD, Resource

_SCALE = Resource(
    group="autoscaling",
    version="v1",
    plural="scales",
    kind="Scale",
    namespaced=True,
    has_status=True,
    has_scale=False,
)
_TOKEN_SECONDS = 3600


def scale_of(workload: Object) -> Object:
    """A workload as `autoscaling/v1` Scale."""
    metadata = workload["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept},
        "spec": {"replicas": workload["spec"].get("replicas", 0)},
        "status": {"replicas": workload.get("status", {}).get("replicas", 0), "selector": selector},
    }


def write_scale(registry: Registry, resource: Resource, namespace: str, name: str, scale: Any, write: Write) -> Outcome:
    """Set `spec.replicas` of the workload. Raises `ApiFailure` 409 or 422."""
    live = registry.get(resource, namespace, name)
    if not isinstance(scale, dict):
        raise bad_request("couldn't get version/kind; json parse error")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32")
    if replicas < 0:
        fault = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid(_SCALE, name, [fault])
    candidate = clone(live)
    candidate["spec"]["replicas"] = replicas
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version:
        candidate["metadata"]["resourceVersion"] = version
    outcome = registry.replace(resource, live, candidate, write)
    return Outcome(obj=scale_of(outcome.obj), changed=outcome.changed, warnings=outcome.warnings)


def patch_scale(
    registry: Registry,
    resource: Resource,
    namespace: str,
    name: str,
    kind: PatchType,
    body: Any,
    write: Write,
) -> Outcome:
    """As `write_scale`, from a patch against the Scale."""
    scale = scale_of(registry.get(resource, namespace, name))
    patched = json_patch(scale, body) if kind is PatchType.JSON else merge_patch(scale, body)
    return write_scale(registry, resource, namespace, name, patched, write)


def bind(registry: Registry, namespace: str, name: str, body: Mapping[str, Any], write: Write) -> Outcome:
    """Put a pod on a node. Raises `ApiFailure` 409 when it already is on one."""
    pod = clone(registry.get(POD, namespace, name))
    node = (body.get("target") or {}).get("name", "")
    if pod["spec"].get("nodeName"):
        raise conflict(POD, name, f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"')
    pod["spec"]["nodeName"] = node
    conditions = [entry for entry in pod["status"].get("conditions") or () if entry["type"] != "PodScheduled"]
    now = timestamp(registry.now())
    conditions.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": now, "lastProbeTime": None})
    pod["status"]["conditions"] = conditions
    if not write.dry_run:
        registry.store.put(POD, pod)
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return Outcome(obj=success, changed=not write.dry_run, created=True)


def review_access(registry: Registry, user: User, review: Mapping[str, Any]) -> Object:
    """SelfSubjectAccessReview."""
    wanted = (review.get("spec") or {}).get("resourceAttributes") or {}
    attributes = Attributes(
        verb=wanted.get("verb", ""),
        group=wanted.get("group", ""),
        resource=wanted.get("resource", ""),
        subresource=wanted.get("subresource", ""),
        namespace=wanted.get("namespace", ""),
        name=wanted.get("name", ""),
    )
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": review.get("spec", {}),
        "status": {"allowed": is_allowed(registry.store, user, attributes)},
    }


def review_rules(registry: Registry, user: User, review: Mapping[str, Any]) -> Object:
    """SelfSubjectRulesReview."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    rules = list(rules_for(registry.store, user, namespace))
    if "system:masters" in user.groups:
        rules.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
    keys = ("verbs", "apiGroups", "resources", "resourceNames")
    shown = [{key: rule[key] for key in keys if key in rule} for rule in rules if rule.get("resources")]
    return {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": {},
        "status": {"resourceRules": shown, "nonResourceRules": [], "incomplete": False},
    }


def issue_token(registry: Registry, namespace: str, name: str, body: Mapping[str, Any]) -> tuple[str, Object]:
    """A new token for a service account, and the TokenRequest that carries it."""
    spec = dict(body.get("spec") or {})
    seconds = int(spec.setdefault("expirationSeconds", _TOKEN_SECONDS))
    token = f"sandbox-{secrets.token_urlsafe(32)}"
    answer = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp(registry.now())},
        "spec": spec,
        "status": {
            "token": token,
            "expirationTimestamp": timestamp(registry.now() + timedelta(seconds=seconds)),
        },
    }
    return token, answer
