"""Whether a pod that waits would find its place on a node that is cordoned. Pure.

By the scheduler's own words, the pod's node selector and the taints it tolerates; affinities are not weighed. A pod
that also lacks room somewhere is left out: the cordon need not be what keeps it waiting.
Words: pkg/scheduler/framework/plugins/nodeunschedulable, .../noderesources
"""

from __future__ import annotations

from responder.domain.manifest import Manifest, flag, items, mapping, text

_CORDON_TAINT = "node.kubernetes.io/unschedulable"
_KEEPS_AWAY = frozenset({"NoSchedule", "NoExecute"})


def waits_for_a_cordoned_node(pod: Manifest) -> bool:
    scheduled = next((c for c in items(pod, "status", "conditions") if text(c, "type") == "PodScheduled"), {})
    message = text(scheduled, "message")
    waits = text(scheduled, "status") == "False" and text(scheduled, "reason") == "Unschedulable"
    return waits and "were unschedulable" in message and "Insufficient" not in message


def is_cordoned(node: Manifest) -> bool:
    return flag(node, "spec", "unschedulable")


def could_take(node: Manifest, pod: Manifest) -> bool:
    """Whether nothing but the cordon speaks against the node."""
    labels = mapping(node, "metadata", "labels")
    chosen = all(labels.get(key) == value for key, value in mapping(pod, "spec", "nodeSelector").items())
    return chosen and all(_tolerates(pod, taint) for taint in items(node, "spec", "taints"))


def _tolerates(pod: Manifest, taint: Manifest) -> bool:
    if text(taint, "key") == _CORDON_TAINT or text(taint, "effect") not in _KEEPS_AWAY:
        return True
    return any(_matches(toleration, taint) for toleration in items(pod, "spec", "tolerations"))


def _matches(toleration: Manifest, taint: Manifest) -> bool:
    if text(toleration, "effect") not in ("", text(taint, "effect")):
        return False
    if text(toleration, "key") not in ("", text(taint, "key")):
        return False
    exists = text(toleration, "operator") == "Exists"
    return exists or (bool(text(toleration, "key")) and text(toleration, "value") == text(taint, "value"))
