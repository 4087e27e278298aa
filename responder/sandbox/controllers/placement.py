"""Which nodes a pod may go to, and why not to the others. Pure.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from responder.sandbox.controllers.workload import condition
from responder.sandbox.objects import Object
from responder.sandbox.quantity import parse_quantity
from responder.sandbox.selectors import selector_predicate

_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
CROWDED = "crowded: "
"""Marks an obstacle that other pods make: without them the pod would fit."""
_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def selects(spec: Mapping[str, Any], node: Object) -> bool:
    """nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_term(term, node, labels) for term in required["nodeSelectorTerms"])


def _term(term: Object, node: Object, labels: Mapping[str, str]) -> bool:
    fields = {"metadata.name": node["metadata"]["name"]}
    by_label = selector_predicate({"matchExpressions": term.get("matchExpressions") or ()})
    by_field = selector_predicate({"matchExpressions": term.get("matchFields") or ()})
    return by_label(labels) and by_field(fields)


def taints(node: Object) -> list[Object]:
    """The node's taints, with those that the node controller would derive from its state."""
    # The scheduler looks at the cordon itself before it looks at the taint that the node controller makes of it.
    found = [_UNSCHEDULABLE] if node.get("spec", {}).get("unschedulable") else []
    found += (node.get("spec") or {}).get("taints") or ()
    if (condition(node, "Ready") or {}).get("status") != "True":
        found.append(_NOT_READY)
    return found


def untolerated(tolerations: Iterable[Object], node: Object) -> Object | None:
    """The first taint that keeps the pod off the node."""
    tolerations = list(tolerations)
    for taint in taints(node):
        if taint.get("effect") != "PreferNoSchedule" and not any(_tolerates(t, taint) for t in tolerations):
            return taint
    return None


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same_value = toleration.get("value", "") == taint.get("value", "")
    return same_value and bool(toleration.get("key") == taint["key"])


def requested(spec: Mapping[str, Any], amount: str) -> Fraction:
    """What a pod asks of a node."""
    total = Fraction(0)
    for container in spec.get("containers") or ():
        value = ((container.get("resources") or {}).get("requests") or {}).get(amount)
        total += parse_quantity(value) if value is not None else 0
    return total


def _extended(spec: Mapping[str, Any]) -> list[str]:
    """Resources of device plugins, such as `nvidia.com/gpu`: a node that does not name one has none of it."""
    asked = ((container.get("resources") or {}).get("requests") or {} for container in spec.get("containers") or ())
    return sorted({amount for requests in asked for amount in requests if "/" in amount})


def obstacle(pod: Object, node: Object, there: Sequence[Object]) -> str:
    """Why the pod cannot go to the node, in the scheduler's words, `CROWDED` put first; empty when it can."""
    taint = untolerated(pod["spec"].get("tolerations") or (), node)
    if taint is _UNSCHEDULABLE:
        return "node(s) were unschedulable"
    if taint is not None:
        return "node(s) had untolerated taint(s)"
    if not selects(pod["spec"], node):
        return "node(s) didn't match Pod's node affinity/selector"
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    for amount in ("cpu", "memory", *_extended(pod["spec"])):
        used = sum((requested(other["spec"], amount) for other in there), Fraction(0))
        wanted, room = requested(pod["spec"], amount), parse_quantity(allocatable.get(amount, "0"))
        if (amount in allocatable or "/" in amount) and wanted and used + wanted > room:
            mark = CROWDED if wanted <= room else ""
            return f"{mark}Insufficient {amount}"
    if "pods" in allocatable and len(there) >= parse_quantity(allocatable["pods"]):
        return f"{CROWDED}Too many pods"
    return ""


def explanation(obstacles: Sequence[str]) -> str:
    """The message of FailedScheduling. Source: pkg/scheduler/framework/types.go (FitError)"""
    total = len(obstacles)
    if not total:
        return "no nodes available to schedule pods"
    shown = Counter(text.removeprefix(CROWDED) for text in obstacles)
    counted = ", ".join(sorted(f"{count} {text}" for text, count in shown.items()))
    crowded = sum(text.startswith(CROWDED) for text in obstacles)
    reasons: list[str] = []
    if crowded:
        reasons.append(f"{crowded} No preemption victims found for incoming pod")
    if crowded < total:
        reasons.append(f"{total - crowded} Preemption is not helpful for scheduling")
    preemption = f"preemption: 0/{total} nodes are available: {', '.join(reasons)}."
    return f"0/{total} nodes are available: {counted}. {preemption}"
