"""Job: pods until enough have succeeded, or too many have failed.

Non-indexed Jobs only; no deadline, no backoff between attempts. Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from responder.sandbox.controllers.loop import Controller, Key
from responder.sandbox.controllers.workload import (
    condition,
    emit,
    is_active,
    is_ready,
    keys_of,
    owned_pods,
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
    if failed + _restarts(active) > spec["backoffLimit"]:
        verdict = _failed(registry, job, active)
    elif succeeded >= spec.get("completions", 1):
        verdict = _complete(registry, job)
    elif spec.get("suspend"):
        _stop(registry, active)
        verdict = ({"type": "Suspended", "status": "True", "reason": "JobSuspended", "message": "Job suspended"},)
    else:
        _start(registry, job, min(spec["parallelism"], spec.get("completions", 1) - succeeded) - len(active))
    _write_status(registry, job, verdict, succeeded=succeeded, failed=failed)
    return None


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
        created = registry.create(POD, job["metadata"]["namespace"], pod, CONTROLLER).obj
        message = f"Created pod: {created['metadata']['name']}"
        emit(registry, _SOURCE, job, "Normal", "SuccessfulCreate", message)


def _stop(registry: Registry, pods: list[Object]) -> None:
    for pod in pods:
        delete(registry, POD, pod["metadata"]["namespace"], pod["metadata"]["name"], {}, CONTROLLER)


def _failed(registry: Registry, job: Object, active: list[Object]) -> tuple[Object, ...]:
    _stop(registry, active)
    reason, message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
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
    if before.get("startTime") or not job["spec"].get("suspend"):
        status["startTime"] = before.get("startTime", now)
    kept = [entry for entry in before.get("conditions") or () if entry["type"] != "Suspended"]
    conditions = set_conditions(kept, [{**entry, "lastProbeTime": now} for entry in verdict], now)
    if conditions:
        status["conditions"] = conditions
    if any(entry["type"] == "Complete" for entry in verdict):
        status["completionTime"] = now
    registry.write_status(_JOB, job["metadata"]["namespace"], job["metadata"]["name"], status)


CONTROLLER_LOOP = Controller(name="job", keys=keys_of("Job", "Pod"), reconcile=reconcile)
