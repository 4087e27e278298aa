"""The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure. Pure.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""

from datetime import datetime

from responder.sandbox.controllers.workload import condition, parse_time, set_conditions, share
from responder.sandbox.objects import Object
from responder.sandbox.registry import timestamp

_COMPLETE = "NewReplicaSetAvailable"
_EXCEEDED = "ProgressDeadlineExceeded"


def compute(
    deployment: Object, sets: list[Object], current: Object | None, *, created: bool, now: datetime
) -> tuple[Object, float | None]:
    """The status, and the seconds until the progress deadline has to be looked at."""
    counts = _counts(deployment, sets, current)
    before = deployment.get("status") or {}
    progressing, delay = _progressing(deployment, before, counts, current, created=created, now=now)
    changes = [_available(deployment, counts, now), progressing]
    failure = next((found for rs in sets if (found := condition(rs, "ReplicaFailure"))), None)
    present = [entry for entry in before.get("conditions") or () if entry["type"] != "ReplicaFailure" or failure]
    if failure is not None:
        changes.append({**failure, "lastUpdateTime": failure["lastTransitionTime"]})
    status: Object = {key: value for key, value in counts.items() if value}
    status["terminatingReplicas"] = sum((rs.get("status") or {}).get("terminatingReplicas", 0) for rs in sets)
    status["conditions"] = set_conditions(present, [c for c in changes if c], timestamp(now))
    return status, delay


def _counts(deployment: Object, sets: list[Object], current: Object | None) -> dict[str, int]:
    def total(key: str) -> int:
        return sum((rs.get("status") or {}).get(key, 0) for rs in sets)

    wanted = sum(rs["spec"]["replicas"] for rs in sets)
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": total("replicas"),
        "updatedReplicas": ((current or {}).get("status") or {}).get("replicas", 0),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": total("availableReplicas"),
        "unavailableReplicas": max(0, wanted - total("availableReplicas")),
    }


def is_complete(deployment: Object, status: Object) -> bool:
    """Every pod is of the present template and available, and no other is left."""
    desired = deployment["spec"]["replicas"]
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(key, 0) == desired for key in counts)


def _available(deployment: Object, counts: dict[str, int], now: datetime) -> Object:
    spec = deployment["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    missing = share(rolling.get("maxUnavailable", 0), spec["replicas"], round_up=False)
    enough = counts["availableReplicas"] >= spec["replicas"] - missing
    entry = {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": f"MinimumReplicas{'Available' if enough else 'Unavailable'}",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }
    return _updated(deployment, entry, now)


def _updated(deployment: Object, entry: Object, now: datetime) -> Object:
    """`lastUpdateTime` moves when status or reason do."""
    before = condition(deployment, entry["type"])
    same = before is not None and all(before[key] == entry[key] for key in ("status", "reason"))
    return {**entry, "lastUpdateTime": before["lastUpdateTime"] if before and same else timestamp(now)}


def _progressing(
    deployment: Object,
    before: Object,
    counts: dict[str, int],
    current: Object | None,
    *,
    created: bool,
    now: datetime,
) -> tuple[Object | None, float | None]:
    present = condition(deployment, "Progressing")
    if deployment["spec"].get("paused") or current is None:
        return _entry(deployment, "Unknown", "DeploymentPaused", "Deployment is paused", now), None
    name = current["metadata"]["name"]
    if is_complete(deployment, counts):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return _entry(deployment, "True", _COMPLETE, message, now), None
    if created:
        message = f'Created new replica set "{name}"'
        return _restarted(_entry(deployment, "True", "NewReplicaSetCreated", message, now), deployment, now)
    if present is None or present["reason"] == "DeploymentPaused":
        message = f'Found new replica set "{name}"'
        return _restarted(_entry(deployment, "True", "FoundNewReplicaSet", message, now), deployment, now)
    if _advanced(before, counts):
        entry = _entry(deployment, "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.', now)
        return _restarted(entry, deployment, now)
    return _deadline(deployment, present, name, now)


def _entry(deployment: Object, status: str, reason: str, message: str, now: datetime) -> Object:
    entry = {"type": "Progressing", "status": status, "reason": reason, "message": message}
    return _updated(deployment, entry, now)


def _restarted(entry: Object, deployment: Object, now: datetime) -> tuple[Object, float]:
    """Progress was seen: the deadline starts anew."""
    return {**entry, "lastUpdateTime": timestamp(now)}, float(deployment["spec"]["progressDeadlineSeconds"] + 1)


def _advanced(before: Object, counts: dict[str, int]) -> bool:
    grown = any(counts[key] > before.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    old_now = counts["replicas"] - counts["updatedReplicas"]
    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    return grown or old_now < old_before


def _deadline(deployment: Object, present: Object, name: str, now: datetime) -> tuple[Object | None, float | None]:
    # A rollout that has once been complete is not timed again until a new template starts one.
    if present["reason"] in (_COMPLETE, _EXCEEDED):
        return present, None
    deadline = deployment["spec"]["progressDeadlineSeconds"]
    left = deadline - (now - parse_time(present["lastUpdateTime"])).total_seconds()
    if left > 0:
        return present, left + 0.05
    message = f'ReplicaSet "{name}" has timed out progressing.'
    return _entry(deployment, "False", _EXCEEDED, message, now), None
