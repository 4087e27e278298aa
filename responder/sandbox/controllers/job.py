"""Job: pods until enough have succeeded, or too many have failed.

Non-indexed Jobs only; no backoff between attempts. Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from datetime import datetime, timedelta

from responder.sandbox.controllers.loop import RETRY_SECONDS, Controller, Key
from responder.sandbox.controllers.workload import (
    condition,
    create_pod,
    emit,
    is_active,
    is_ready,
    is_refused,
    keys_of,
    owned_pods,
    parse_time,
    pod_from,
    set_conditions,
)
from responder.sandbox.deletion import delete
from responder.sandbox.objects import Object
from responder.sandbox.registry import CONTROLLER, Registry, timestamp
from responder.sandbox.resources import KINDS, POD

_JOB = KINDS["Job"]
_SOURCE = "job-controller"


def reconcile(registry: Registry, key: Key) -> float | None:
    job = registry.store.get(_JOB, *key)
    if job is None or job["metadata"].get("deletionTimestamp") or _is_finished(job):
        return None
    pods = owned_pods(registry.store, job)
    active = [pod for pod in pods if is_active(pod)]
    succeeded = sum((pod.get("status") or {}).get("phase") == "Succeeded" for pod in pods)
    failed = sum((pod.get("status") or {}).get("phase") == "Failed" for pod in pods)
    spec = job["spec"]
    verdict: tuple[Object, ...] = ()
    refused = False
    left = _seconds_left(job, registry.now())
    if failed + _restarts(active) > spec["backoffLimit"]:
        verdict = _failed(registry, job, active, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    elif left is not None and left <= 0 and not spec.get("suspend"):
        message = "Job was active longer than specified deadline"
        verdict = _failed(registry, job, active, "DeadlineExceeded", message)
    elif succeeded >= spec.get("completions", 1):
        verdict = _complete(registry, job)
    elif spec.get("suspend"):
        _stop(registry, active)
        verdict = ({"type": "Suspended", "status": "True", "reason": "JobSuspended", "message": "Job suspended"},)
    else:
        missing = min(spec["parallelism"], spec.get("completions", 1) - succeeded) - len(active)
        refused = is_refused(lambda: _start(registry, job, missing))
    _write_status(registry, job, verdict, succeeded=succeeded, failed=failed)
    if refused:
        return RETRY_SECONDS
    return None if verdict else _seconds_left(registry.get(_JOB, *key), registry.now())


def _seconds_left(job: Object, now: datetime) -> float | None:
    """Until the Job's own deadline; None where it has none or has not started."""
    deadline, started = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if deadline is None or not started:
        return None
    return (parse_time(started) + timedelta(seconds=deadline) - now).total_seconds()


def _is_finished(job: Object) -> bool:
    return any((condition(job, kind) or {}).get("status") == "True" for kind in ("Complete", "Failed"))


def _restarts(pods: list[Object]) -> int:
    return sum(
        entry.get("restartCount", 0)
        for pod in pods
        if pod["spec"]["restartPolicy"] == "OnFailure"
        for entry in pod["status"].get("containerStatuses") or ()
    )


def _start(registry: Registry, job: Object, missing: int) -> None:
    for _ in range(missing):
        pod = pod_from(job, job["spec"]["template"])
        created = create_pod(registry, _SOURCE, job, pod)
        message = f"Created pod: {created['metadata']['name']}"
        emit(registry, _SOURCE, job, "Normal", "SuccessfulCreate", message)


def _stop(registry: Registry, pods: list[Object]) -> None:
    for pod in pods:
        delete(registry, POD, pod["metadata"]["namespace"], pod["metadata"]["name"], {}, CONTROLLER)


def _failed(registry: Registry, job: Object, active: list[Object], reason: str, message: str) -> tuple[Object, ...]:
    _stop(registry, active)
    emit(registry, _SOURCE, job, "Warning", reason, message)
    return tuple(
        {"type": kind, "status": "True", "reason": reason, "message": message} for kind in ("FailureTarget", "Failed")
    )


def _complete(registry: Registry, job: Object) -> tuple[Object, ...]:
    emit(registry, _SOURCE, job, "Normal", "Completed", "Job completed")
    reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
    return tuple(
        {"type": kind, "status": "True", "reason": reason, "message": message}
        for kind in ("SuccessCriteriaMet", "Complete")
    )


def _write_status(registry: Registry, job: Object, verdict: tuple[Object, ...], *, succeeded: int, failed: int) -> None:
    now = timestamp(registry.now())
    before = job.get("status") or {}
    active = [pod for pod in owned_pods(registry.store, job) if is_active(pod)]
    counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
    status: Object = {key: value for key, value in counts.items() if value}
    status["ready"] = sum(is_ready(pod) for pod in active)
    status["terminating"] = 0
    status["uncountedTerminatedPods"] = {}
    if not job["spec"].get("suspend"):  # a Job that is resumed starts anew
        status["startTime"] = before.get("startTime", now)
    kept = [entry for entry in before.get("conditions") or () if entry["type"] != "Suspended"]
    conditions = set_conditions(kept, [{**entry, "lastProbeTime": now} for entry in verdict], now)
    if conditions:
        status["conditions"] = conditions
    if any(entry["type"] == "Complete" for entry in verdict):
        status["completionTime"] = now
    registry.write_status(_JOB, job["metadata"]["namespace"], job["metadata"]["name"], status)


CONTROLLER_LOOP = Controller(name="job", keys=keys_of("Job", "Pod"), reconcile=reconcile)
